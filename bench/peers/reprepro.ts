import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keptFolder } from "../inputs/folder.ts";
import { timed } from "./programs.ts";

const OPTIONS = ["--silent", "--silent", "--ignore=wrongdistribution"];

/** Changes of settings, not of packages, are made in the copy: the key is another one in each run. */
const distributions = (signed: boolean) =>
  `Codename: stable\nSuite: stable\nArchitectures: amd64\nComponents: main\n${signed ? "SignWith: yes\n" : ""}`;

/** A repository of reprepro that holds all of a folder of stand-ins; made once, which takes minutes. */
export async function repreproFolder(debs: string, count: number): Promise<string> {
  return keptFolder(`reprepro-${debs.split("/").at(-1)}-${count}`, async (folder) => {
    mkdirSync(join(folder, "conf"));
    writeFileSync(join(folder, "conf/distributions"), `${distributions(false)}Update: all\n`);
    writeFileSync(
      join(folder, "conf/updates"),
      `Name: all\nMethod: file:${debs}\nSuite: bookworm\nComponents: main\nArchitectures: amd64\nVerifyRelease: blindtrust\nGetInRelease: no\n`,
    );
    await timed("reprepro", [...OPTIONS, "-b", folder, "update", "stable"]);
  });
}

/** A copy to measure in, published and signed; its pool is linked, since that is only added to. */
export async function repreproCopy(kept: string, copy: string): Promise<void> {
  mkdirSync(copy, { recursive: true });
  for (const part of ["db", "dists", "conf"]) cpSync(join(kept, part), join(copy, part), { recursive: true });
  execFileSync("cp", ["-al", join(kept, "pool"), join(copy, "pool")]);
  writeFileSync(join(copy, "conf/distributions"), distributions(true));
  await timed("reprepro", [...OPTIONS, "-b", copy, "export", "stable"]);
}

export function repreproAdd(copy: string, deb: string): Promise<number> {
  return timed("reprepro", [...OPTIONS, "-b", copy, "includedeb", "stable", deb]);
}
