import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratchFolder } from "./createrepo.ts";
import { buildRpm } from "./rpm-builder.ts";

/** Rpms that differ in what an index tells of them. */
export function someRpms(): Record<string, Buffer> {
  const names = ["one", "two", "three", "four"];
  const rpms = names.map((name, i) => {
    const files = Array.from({ length: i * 7 }, (_, n) => ({ path: `/usr/bin/${name}-${n}-ü&<x>` }));
    const changelogs = Array.from({ length: i }, (_, n) => ({
      author: "Zoë <z@x>",
      date: 1000 - n,
      text: `- fix <${n}> & more`,
    }));
    const rpm = buildRpm({
      name,
      epoch: i,
      version: `1.${i}~rc1^git`,
      arch: i % 2 === 0 ? "noarch" : "x86_64",
      summary: `A "${name}" & <more>`,
      requires: [["bash", 12, "1:2.0-3"], ["(a or b)"]],
      files,
      changelogs,
    });
    return [`${name}-1.${i}~rc1^git-1.rpm`, rpm] as const;
  });
  return Object.fromEntries(rpms);
}

/** An upstream that createrepo_c made: what lies in its repodata, by name, with the given options. */
export function upstreamOf(rpms: Readonly<Record<string, Buffer>>, ...options: string[]): (path: string) => Buffer {
  const folder = scratchFolder("index-rpms");
  try {
    mkdirSync(join(folder, "Packages"));
    for (const [name, bytes] of Object.entries(rpms)) {
      const path = join(folder, "Packages", name);
      writeFileSync(path, bytes);
      utimesSync(path, 1_750_000_000, 1_750_000_000);
    }
    writeFileSync(join(folder, "comps.xml"), '<?xml version="1.0" encoding="UTF-8"?>\n<comps></comps>\n');
    const args = [
      "--quiet",
      "--groupfile",
      join(folder, "comps.xml"),
      "--distro",
      "cpe:/o:x:1,X & 1",
      ...options,
      folder,
    ];
    execFileSync("createrepo_c", args, {
      env: { ...process.env, LC_ALL: "C.UTF-8" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const files = execFileSync("find", ["repodata", "-type", "f"], { cwd: folder, encoding: "utf8" })
      .split("\n")
      .filter(Boolean);
    const kept = new Map(files.map((path) => [path, readFileSync(join(folder, path))]));
    return (path) => {
      const bytes = kept.get(path);
      if (bytes === undefined) throw new Error(`createrepo_c wrote no ${path}, but ${files.join(" ")}`);
      return bytes;
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
