import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { keptFolder } from "../inputs/folder.ts";
import { timed } from "./programs.ts";

/** As users type it, with a database too where the version makes one (before 1.0); and with the XML alone, which is what dnf reads. */
export const CREATEREPOS = [
  { name: "createrepo_c", kept: "createrepo-defaults", options: ["--quiet"] },
  { name: "createrepo_c --no-database", kept: "createrepo", options: ["--quiet", "--no-database"] },
] as const;
export type Createrepo = (typeof CREATEREPOS)[number];

/** A folder of rpms with the metadata that createrepo_c makes of it; made once. */
export async function createrepoFolder(peer: Createrepo, rpms: string, count: number): Promise<string> {
  return keptFolder(`${peer.kept}-${rpms.split("/").at(-1)}-${count}`, async (folder) => {
    execFileSync("cp", ["-al", join(rpms, "packages"), join(folder, "packages")]);
    await createrepo(peer, folder);
  });
}

/** A copy to measure in; its rpms are linked. */
export function createrepoCopy(kept: string, copy: string): void {
  execFileSync("cp", ["-al", kept, copy]);
}

export function createrepo({ options }: Createrepo, folder: string): Promise<number> {
  return timed("createrepo_c", [...options, folder]);
}

export function createrepoAdd({ options }: Createrepo, copy: string, rpm: string): Promise<number> {
  copyFileSync(rpm, join(copy, "packages", basename(rpm)));
  return timed("createrepo_c", [...options, "--update", copy]);
}
