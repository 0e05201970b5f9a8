import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PEERS: Readonly<Record<string, string>> = {
  aptly: "aptly",
  reprepro: "reprepro",
  "apt-ftparchive": "apt-utils",
  createrepo_c: "createrepo-c",
  eatmydata: "eatmydata",
  gpg: "gnupg",
  gpgv: "gpgv",
  xz: "xz-utils",
};

/** Brings the peers from the distribution where they are missing, and says which versions they have. */
export function installPeers(): string[] {
  const missing = Object.keys(PEERS).filter((program) => !isThere(program));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((program) => PEERS[program] ?? program))];
    const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, stdio: "pipe" as const };
    const install = ["-qq", "install", "--yes", "--no-install-recommends", ...packages];
    try {
      execFileSync("apt-get", install, options);
    } catch {
      execFileSync("apt-get", ["-qq", "update"], options);
      execFileSync("apt-get", install, options);
    }
  }
  const names = [...new Set(Object.values(PEERS))];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own
  return execFileSync("dpkg-query", ["-W", "-f", "${Package} ${Version}\n", ...names], { encoding: "utf8" })
    .trim()
    .split("\n");
}

function isThere(program: string): boolean {
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
