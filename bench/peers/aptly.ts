import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keptFolder } from "../inputs/folder.ts";
import { timed } from "./programs.ts";

/** Signs without asking; the key is the only one of its keyring. */
const SIGNED = ["-batch", "-gpg-key=bench@example.org"];

/** Settings name the folder, so that each copy has its own. */
export function aptly(root: string, ...args: string[]): Promise<number> {
  const config = `${root}.conf`;
  writeFileSync(config, JSON.stringify({ rootDir: root, architectures: ["amd64", "all"], gpgDisableVerify: true }));
  return timed("aptly", [`-config=${config}`, ...args]);
}

/** A local repo `bench` of aptly that holds all of a folder of stand-ins, not published. Made once. */
export async function aptlyFolder(debs: string, count: number): Promise<string> {
  return keptFolder(`aptly-${debs.split("/").at(-1)}-${count}`, async (folder) => {
    await aptly(folder, "repo", "create", "-distribution=stable", "-component=main", "bench");
    await aptly(folder, "repo", "add", "bench", join(debs, "pool"));
  });
}

/** A copy to measure in; its pool is linked, since that is only added to. */
export async function aptlyCopy(
  kept: string,
  copy: string,
  given: { readonly published: boolean } = { published: true },
): Promise<void> {
  mkdirSync(copy, { recursive: true });
  cpSync(join(kept, "db"), join(copy, "db"), { recursive: true });
  execFileSync("cp", ["-al", join(kept, "pool"), join(copy, "pool")]);
  if (given.published) await aptlyPublish(copy);
}

export function aptlyPublish(root: string): Promise<number> {
  return aptly(root, "publish", "repo", ...SIGNED, "bench");
}

export async function aptlyAdd(root: string, deb: string): Promise<number> {
  return (await aptly(root, "repo", "add", "bench", deb)) + (await aptlyUpdate(root));
}

export function aptlyUpdate(root: string): Promise<number> {
  return aptly(root, "publish", "update", ...SIGNED, "stable");
}
