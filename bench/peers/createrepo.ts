import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { keptFolder } from "../inputs/folder.ts";
import { timed } from "./programs.ts";

/** Debian's own wants a database; what dnf reads is the XML, which is what we make. */
const OPTIONS = ["--quiet", "--no-database"];

/** A folder of rpms with the metadata that createrepo_c makes of it; made once. */
export async function createrepoFolder(rpms: string, count: number): Promise<string> {
  return keptFolder(`createrepo-${rpms.split("/").at(-1)}-${count}`, async (folder) => {
    execFileSync("cp", ["-al", join(rpms, "packages"), join(folder, "packages")]);
    await createrepo(folder);
  });
}

/** A copy to measure in; its rpms are linked. */
export function createrepoCopy(kept: string, copy: string): void {
  execFileSync("cp", ["-al", kept, copy]);
}

export function createrepo(folder: string): Promise<number> {
  return timed("createrepo_c", [...OPTIONS, folder]);
}

export function createrepoAdd(copy: string, rpm: string): Promise<number> {
  copyFileSync(rpm, join(copy, "packages", basename(rpm)));
  return timed("createrepo_c", [...OPTIONS, "--update", copy]);
}
