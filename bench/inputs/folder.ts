import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

export const BENCH = join(import.meta.dirname, "..");

/** Where inputs and peers' slow set-ups are kept between runs. */
export const INPUTS = process.env.PACKHOUSE_BENCH_INPUTS ?? join(BENCH, ".inputs");

/** A folder that is made once: whole, or not there at all. */
export async function keptFolder(name: string, make: (folder: string) => unknown): Promise<string> {
  const folder = join(INPUTS, name);
  if (existsSync(folder)) return folder;
  const draft = `${folder}.making`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const start = performance.now();
  console.log(`making ${name}, which is kept in ${INPUTS}`);
  await make(draft);
  renameSync(draft, folder);
  console.log(`made ${name} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return folder;
}
