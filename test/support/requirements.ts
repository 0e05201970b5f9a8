import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** What the tests run beside Node, and the Debian package that brings it. */
const REQUIRED: Readonly<Record<string, string>> = {
  "apt-get": "apt",
  "apt-ftparchive": "apt-utils",
  createrepo_c: "createrepo-c",
  curl: "curl",
  debootstrap: "debootstrap",
  dnf: "dnf",
  "dpkg-deb": "dpkg",
  "dpkg-scanpackages": "dpkg-dev",
  ar: "binutils",
  bzip2: "bzip2",
  git: "git",
  gpg: "gnupg",
  gpgv: "gpgv",
  openssl: "openssl",
  python3: "python3",
  reprepro: "reprepro",
  rpm: "rpm",
  rpmbuild: "rpm",
  xz: "xz-utils",
  zstd: "zstd",
};

/** debootstrap and its like lie in sbin, which a user's PATH may not name. */
export const SEARCHED = [...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"].filter(
  Boolean,
);

export function missingPrograms(): string[] {
  return Object.keys(REQUIRED).filter((program) => !SEARCHED.some((folder) => isExecutable(join(folder, program))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Brings what is missing, on Debian as root; elsewhere an error that names it. Says what it installed. */
export function installRequirements(): string {
  const missing = missingPrograms();
  if (missing.length === 0) return "all there";
  const packages = [...new Set(missing.map((program) => REQUIRED[program] ?? program))];
  if (!existsSync("/etc/debian_version") || process.getuid?.() !== 0)
    throw new Error(
      `missing: ${missing.join(", ")}. The tests run real package managers and install them only on Debian as root; ` +
        `elsewhere install them yourself (Debian's names: ${packages.join(" ")}).`,
    );
  const install = ["install", "--yes", "--no-install-recommends", ...packages];
  if (listsAreStale()) aptGet(["update"]);
  try {
    aptGet(install);
  } catch {
    aptGet(["update"]);
    aptGet(install);
  }
  const still = missingPrograms();
  if (still.length > 0)
    throw new Error(`still missing after apt-get install ${packages.join(" ")}: ${still.join(", ")}`);
  return `installed ${packages.join(" ")}`;
}

function listsAreStale(): boolean {
  const folder = "/var/lib/apt/lists";
  const lists = existsSync(folder) ? readdirSync(folder).filter((name) => /_Packages(\.\w+)?$/.test(name)) : [];
  const dayAgo = Date.now() - 24 * 60 * 60 * 1000;
  return !lists.some((name) => statSync(join(folder, name)).mtimeMs > dayAgo);
}

function aptGet(args: readonly string[]): void {
  const options = [
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Acquire::Retries=3",
    "-o",
    "APT::Update::Error-Mode=any",
    "-qq",
  ];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  try {
    execFileSync("apt-get", [...options, ...args], { env, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  } catch (error) {
    const told = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new Error(`apt-get ${args.join(" ")} failed:\n${told}`);
  }
}
