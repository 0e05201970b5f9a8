import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { send, startChild } from "../support/surface-child.ts";
import { deliver, expectWhole, type Parcel, parcel } from "../support/surface-writers.ts";

const copy = promisify(execFile);
const COPIES = 4;
let bench: string;
beforeAll(() => {
  bench = mkdtempSync(join(tmpdir(), "packhouse-backup-"));
});
afterAll(() => rmSync(bench, { recursive: true, force: true }));

test("cp -r of the data while uploads run starts elsewhere, with all that was answered before the copy began", async () => {
  const folder = join(bench, "original");
  const child = await startChild(folder);
  await send(child, "POST", "/repo", { name: "tools", type: "apt", accepts: ["*/debian/*/*"] });
  const answered: Parcel[] = [];
  let over = false;
  let number = 0;
  const writers = Array.from({ length: 3 }, async () => {
    while (!over) {
      number += 1;
      const one = parcel(number);
      if (await deliver(child, one)) answered.push(one);
    }
  });
  const backups: { folder: string; holds: Parcel[] }[] = [];
  for (let turn = 0; turn < COPIES; turn += 1) {
    await sleep(500 + Math.random() * 1_500);
    const to = join(bench, `copy-${turn}`);
    const holds = [...answered];
    await copy("cp", ["-r", folder, to]).catch((error: { stderr?: string }) => {
      // A file that was removed while cp walked is no loss; anything else is.
      const lines = String(error.stderr).trim().split("\n");
      expect(lines.filter((line) => !/No such file or directory$/.test(line))).toEqual([]);
    });
    backups.push({ folder: to, holds });
  }
  over = true;
  await Promise.all(writers);
  expect(backups[1]?.holds.length).toBeGreaterThan(3);

  // The copies are other Packhouses: each starts, also while the original is running, and goes its own way.
  for (const [turn, backup] of backups.entries()) {
    const elsewhere = await startChild(backup.folder);
    expect(elsewhere.token).toBe(child.token);
    await expectWhole(elsewhere, "tools", backup.holds);
    const own = parcel(10_000 + turn);
    expect(await deliver(elsewhere, own)).toBe(true);
    await expectWhole(elsewhere, "tools", [...backup.holds, own]);
    elsewhere.kill("SIGTERM");
    expect((await elsewhere.ended).code).toBe(0);
  }
  await expectWhole(child, "tools", answered);
  child.kill("SIGTERM");
  expect((await child.ended).code).toBe(0);
}, 300_000);
