import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { type Child, send, startChild } from "../support/surface-child.ts";
import { deliver, expectWhole, type Parcel, parcel } from "../support/surface-writers.ts";

const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-kill-"));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const ROUNDS = 12;
const WRITERS = 4;

/** Uploads one package after the other until the server is gone; what was answered with 200 goes to `answered`. */
async function write(child: Child, next: () => Parcel, answered: Parcel[], isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const one = next();
    try {
      if (await deliver(child, one)) answered.push(one);
    } catch (error) {
      if (!isOver()) throw error;
    }
  }
}

test("kill -9 at any moment, over and over: what was answered is in the repo in the end, and all indexes are whole", async () => {
  const folder = newFolder();
  const answered: Parcel[] = [];
  let number = 0;
  const next = () => {
    number += 1;
    return parcel(number);
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = await startChild(folder);
    if (round === 0) {
      const made = await send(child, "POST", "/repo", { name: "tools", type: "apt", accepts: ["*/debian/*/*"] });
      expect(made.status).toBe(201);
    }
    let over = false;
    const writers = Array.from({ length: WRITERS }, () => write(child, next, answered, () => over));
    // At first amid uploads and ingest, later amid commits and publications too: anywhere within two and a half seconds.
    await Promise.race([sleep(50 + Math.random() * 2_500), Promise.all(writers)]);
    over = true;
    child.kill("SIGKILL");
    expect((await child.ended).signal).toBe("SIGKILL");
    await Promise.all(writers);
  }
  expect(answered.length).toBeGreaterThan(20);

  const child = await startChild(folder);
  await expectWhole(child, "tools", answered, 90_000);
  // It works on as if nothing had been.
  const last = next();
  expect(await deliver(child, last)).toBe(true);
  await expectWhole(child, "tools", [...answered, last], 30_000);
  child.kill("SIGTERM");
  expect(await child.ended).toMatchObject({ code: 0, signal: null });
}, 300_000);

test("killed while a repo is made, it is there whole or can be made again", async () => {
  const folder = newFolder();
  for (let round = 0; round < 6; round += 1) {
    const child = await startChild(folder);
    const asked = send(child, "POST", "/repo", { name: `r${round}`, type: "apt" }).catch(() => undefined);
    await sleep(Math.random() * 400);
    child.kill("SIGKILL");
    await Promise.all([child.ended, asked]);
    const again = await startChild(folder);
    const made = await send(again, "POST", "/repo", { name: `r${round}`, type: "apt" });
    expect([201, 409]).toContain(made.status);
    await expect
      .poll(async () => (await send(again, "GET", `/repo/r${round}`)).body.published_commit, { timeout: 20_000 })
      .toBe(0);
    expect((await send(again, "GET", "/repo")).body).toHaveProperty(`r${round}`);
    expect((await fetch(`${again.url}/apt/r${round}/dists/stable/InRelease`)).status).toBe(200);
    again.kill("SIGKILL");
    await again.ended;
  }
}, 180_000);
