import { AppError } from "../error.ts";

export type RepoFile = {
  /** dnf's name for the repository: `[A-Za-z0-9_.:-]`, and not `main`, which is dnf's own section. */
  id: string;
  /** For people. */
  name: string;
  mirrorlistUrl: string;
  keyUrl: string;
  /** Is every package signed, by a key that `keyUrl` has? The metadata is signed and names packages by hash either way. */
  gpgcheck: boolean;
};

/** A .repo file for /etc/yum.repos.d that needs no edit, whatever dnf.conf says. */
export function renderRepoFile({ id, name, mirrorlistUrl, keyUrl, gpgcheck }: RepoFile): string {
  if (!/^[A-Za-z0-9_.:-]+$/.test(id) || id === "main")
    throw new AppError("invalid", `${JSON.stringify(id)} is no id of a dnf repository: expected [A-Za-z0-9_.:-]`);
  return `[${id}]
name=${line("name", name)}
mirrorlist=${url("mirrorlist", mirrorlistUrl)}
enabled=1
repo_gpgcheck=1
gpgcheck=${gpgcheck ? 1 : 0}
gpgkey=${url("gpgkey", keyUrl)}
metadata_expire=60
`;
}

/** A line break would begin another setting. */
function line(setting: string, value: string): string {
  const trimmed = value.trim();
  if (trimmed === "" || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(trimmed))
    throw new AppError("invalid", `${setting} of a .repo file must be one line of text, not ${JSON.stringify(value)}`);
  return trimmed;
}

/** dnf splits lists at blanks and commas and takes `$word` and `${word}` for variables. */
function url(setting: string, value: string): string {
  if (!URL.canParse(value) || /[\s,${}]/.test(value))
    throw new AppError("invalid", `${setting} of a .repo file must be an absolute URL, not ${JSON.stringify(value)}`);
  return line(setting, value);
}
