import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Keys that gpg itself makes, in a home of their own. */
export type Gpg = {
  /** What gpg prints. */
  run(...args: string[]): Promise<string>;
  /** Makes a key; answers its fingerprint. */
  make(name: string, wanted?: KeyWanted): Promise<string>;
  /** Armored. `part`: the primary and all below it, or what is below it alone. */
  secret(fingerprint: string, part?: "keys" | "subkeys"): Promise<string>;
  public(...fingerprints: string[]): Promise<string>;
  close(): Promise<void>;
};

type KeyWanted = {
  readonly algorithm?: string;
  readonly usage?: string;
  readonly expires?: string;
  readonly passphrase?: string;
  readonly options?: readonly string[];
};

const program = promisify(execFile);

export function openGpg(): Gpg {
  const home = mkdtempSync(join(tmpdir(), "packhouse-gpg-"));
  const run: Gpg["run"] = async (...args) => {
    const always = ["--homedir", home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"];
    return (await program("gpg", [...always, ...args])).stdout;
  };
  return {
    run,
    async make(name, { algorithm = "rsa2048", usage = "sign", expires = "never", passphrase = "", options = [] } = {}) {
      await run("--passphrase", passphrase, ...options, "--quick-generate-key", name, algorithm, usage, expires);
      return /^fpr:+([0-9A-F]{40}):/m.exec(await run("--list-keys", "--with-colons", `=${name}`))?.[1] ?? "";
    },
    secret: (fingerprint, part = "keys") =>
      // With a passphrase, gpg wants it to export what it protects; one too many does no harm.
      run("--passphrase", "secret", "--armor", `--export-secret-${part}`, fingerprint),
    public: (...fingerprints) => run("--armor", "--export", ...fingerprints),
    async close() {
      await program("gpgconf", ["--homedir", home, "--kill", "all"]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
