import { utimesSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Run, Workbench } from "./workbench.ts";

/** A dnf of its own, with the dnf.conf that Fedora and EL ship: what it installs goes into `root`. */
export type DnfClient = {
  readonly root: string;
  run(...args: string[]): Promise<Run>;
  /** What `dnf repoquery ARGS` prints, line by line and sorted; fails with what dnf said if it complains. */
  query(...args: string[]): Promise<string[]>;
  /** As if what it fetched so far had been fetched so much earlier. */
  age(seconds: number): Promise<void>;
};

const STOCK_CONF = `[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
`;

/** The .repo files go into reposdir as they are. */
export async function openDnf(
  bench: Workbench,
  name: string,
  repoFiles: Readonly<Record<string, string>>,
  { settings = {} }: { settings?: Readonly<Record<string, string>> } = {},
): Promise<DnfClient> {
  const folder = join(bench.folder, name);
  const root = join(folder, "root");
  const cache = join(folder, "cache");
  await Promise.all([root, cache, join(folder, "log")].map((path) => mkdir(path, { recursive: true })));
  const config = await bench.file(`${name}/dnf.conf`, STOCK_CONF);
  for (const [file, text] of Object.entries(repoFiles)) await bench.file(`${name}/repos/${file}`, text);
  const own = {
    reposdir: join(folder, "repos"),
    cachedir: cache,
    persistdir: join(folder, "persist"),
    logdir: join(folder, "log"),
    varsdir: join(folder, "vars"),
    ...settings,
  };
  const options = [
    "--assumeyes",
    "--noplugins",
    `--config=${config}`,
    `--installroot=${root}`,
    "--releasever=1",
    "--forcearch=x86_64",
    ...Object.entries(own).map(([key, value]) => `--setopt=${key}=${value}`),
  ];
  const run = (...args: string[]) => bench.run("dnf", [...options, ...args]);
  return {
    root,
    run,
    async query(...args) {
      const { code, output } = await run("--quiet", "repoquery", ...args);
      if (code !== 0 || COMPLAINT.test(output)) throw new Error(`dnf repoquery ${args.join(" ")}: ${code}\n${output}`);
      return output
        .split("\n")
        .filter((line) => line !== "" && !IMPORT.test(line))
        .sort();
    },
    async age(seconds) {
      const files = await readdir(cache, { recursive: true, withFileTypes: true });
      const at = Date.now() / 1000 - seconds;
      for (const file of files) utimesSync(join(file.parentPath, file.name), at, at);
    },
  };
}

const COMPLAINT = /^(?:error|warning|Errors during|Failed to)\b|mismatch|Curl error/im;
/** dnf tells of a key it took, also when it is told to be quiet. */
const IMPORT = /^(?:Importing GPG key|\s*(?:Userid|Fingerprint|From) *:)/;
