import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Program = {
  readonly from: string;
  readonly version: string /** No run goes without it. */;
  readonly isNeeded?: true;
};

const PROGRAMS: Readonly<Record<string, Program>> = {
  aptly: { from: "aptly", version: "version" },
  reprepro: { from: "reprepro", version: "--version" },
  createrepo_c: { from: "createrepo-c", version: "--version" },
  "apt-ftparchive": { from: "apt-utils", version: "--version", isNeeded: true },
  gpg: { from: "gnupg", version: "--version", isNeeded: true },
  gpgv: { from: "gpgv", version: "--version", isNeeded: true },
  xz: { from: "xz-utils", version: "--version", isNeeded: true },
  eatmydata: { from: "eatmydata", version: "" },
};

/** Brings what is missing from the distribution, as far as that can be, and says which versions there are. */
export function installPeers(): string[] {
  const missing = Object.keys(PROGRAMS).filter((program) => !isThere(program));
  if (missing.length > 0) install([...new Set(missing.map((program) => PROGRAMS[program]?.from ?? program))]);
  for (const [program, { from, isNeeded }] of Object.entries(PROGRAMS)) {
    if (isNeeded && !isThere(program)) throw new Error(`${program} is missing, which is in Debian's ${from}`);
  }
  return Object.keys(PROGRAMS).map((program) => `${program} ${isThere(program) ? versionOf(program) : "missing"}`);
}

function install(packages: readonly string[]): void {
  const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, stdio: "pipe" as const };
  const args = ["-qq", "install", "--yes", "--no-install-recommends", ...packages];
  try {
    try {
      execFileSync("apt-get", args, options);
    } catch {
      execFileSync("apt-get", ["-qq", "update"], options);
      execFileSync("apt-get", args, options);
    }
  } catch (error) {
    console.error(`could not install ${packages.join(", ")}: ${error instanceof Error ? error.message : error}`);
  }
}

/** As it says itself, in digits; empty where it does not. */
export function versionOf(program: string): string {
  const { version = "" } = PROGRAMS[program] ?? {};
  if (version === "") return "";
  const { stdout, stderr } = spawnSync(program, [version], { encoding: "utf8" });
  return /\d+(?:\.\d+)+/.exec(`${stdout} ${stderr}`)?.[0] ?? "";
}

export function isThere(program: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, program)));
}

/** Runs a peer to its end; its wall time in seconds. */
export async function timed(program: string, args: readonly string[], options: { cwd?: string } = {}): Promise<number> {
  const start = performance.now();
  const child = spawn(program, args, {
    ...options,
    env: { ...process.env, GNUPGHOME: gnupgHome(), LC_ALL: "C.UTF-8" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let told = "";
  child.stderr.on("data", (text) => {
    told = `${told}${String(text)}`.slice(-4000);
  });
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 6).join(" ")} ended with ${code}: ${told}`);
  return (performance.now() - start) / 1000;
}

let home: string | undefined;

/** Where the key lies that peers sign with: RSA-4096, as ours are. */
export function gnupgHome(): string {
  if (home !== undefined) return home;
  home = mkdtempSync(join(tmpdir(), "packhouse-bench-gpg-"));
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const args = ["--homedir", home, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key"];
  execFileSync("gpg", [...args, "bench@example.org", "rsa4096", "sign", "never"], { stdio: "pipe" });
  return home;
}

export function closeGnupg(): void {
  if (home === undefined) return;
  execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
  rmSync(home, { recursive: true, force: true });
  home = undefined;
}

export function machine(): string {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";
  const cores = execFileSync("nproc", { encoding: "utf8" }).trim();
  return `${model}, ${cores} cores, node ${process.version}`;
}
