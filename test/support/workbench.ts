import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export type Run = { code: number; output: string };

/** A folder of a test's own, in which real programs run. */
export type Workbench = {
  readonly folder: string;
  /** Writes a file below the folder; answers its path. */
  file(name: string, content: string | Uint8Array): Promise<string>;
  /** Never throws: the exit code, and what was said on both streams. GNUPGHOME lies in the folder. */
  run(command: string, args: readonly string[]): Promise<Run>;
  remove(): Promise<void>;
};

export async function openWorkbench(name: string): Promise<Workbench> {
  const folder = await mkdtemp(join(tmpdir(), `packhouse-${name}-`));
  const gnupg = join(folder, "gnupg");
  await mkdir(gnupg, { mode: 0o700 });
  const options = { env: { ...process.env, LC_ALL: "C.UTF-8", GNUPGHOME: gnupg }, maxBuffer: 1 << 26 };
  return {
    folder,
    file: async (path, content) => {
      const whole = join(folder, path);
      await mkdir(dirname(whole), { recursive: true });
      await writeFile(whole, content);
      return whole;
    },
    run: (command, args) =>
      new Promise((resolve) => {
        execFile(command, args, options, (error, stdout, stderr) =>
          resolve({
            code: error ? Number(error.code) || 1 : 0,
            output: `${stdout}${stderr}${error && !stderr ? error : ""}`,
          }),
        );
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
