import type { UpstreamRead } from "./found.ts";
import { readApt } from "./read-apt.ts";
import { readDir } from "./read-dir.ts";
import { readYum } from "./read-yum.ts";
import { lastState, type Site } from "./site.ts";

/** All that an upstream lists now; "unchanged" where the files that name all others are what they were at the last commit. */
export async function readUpstream(site: Site): Promise<UpstreamRead | "unchanged"> {
  const before = await lastState(site);
  const { type } = site.upstream;
  switch (type) {
    case "apt":
      return readApt(site, before);
    case "yum":
      return readYum(site, before);
    case "dir":
      return readDir(site, before);
    default:
      return type satisfies never;
  }
}
