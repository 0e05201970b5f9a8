import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runToEnd, send, startChild } from "../support/surface-child.ts";
import { aptPackages } from "../support/surface-requests.ts";
import { deliver, expectWhole, type Parcel, parcel } from "../support/surface-writers.ts";

const run = (program: string, ...args: string[]) => spawnSync(program, args, { encoding: "utf8" });

/** Whether this machine lets us mount: then a disk can be full, or read-only, for real. */
const mayMount = (() => {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-mount-"));
  const mounted = run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder).status === 0;
  if (mounted) run("umount", folder);
  rmSync(folder, { recursive: true, force: true });
  return mounted;
})();

let disk: string;
beforeAll(() => {
  disk = mkdtempSync(join(tmpdir(), "packhouse-disk-"));
  if (mayMount) run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk);
});
afterAll(() => {
  if (mayMount) run("umount", "-l", disk);
  rmSync(disk, { recursive: true, force: true });
});

function fill(leaveBytes: number): string {
  const file = join(disk, "ballast");
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  return file;
}

test("a folder that cannot be made is told in one line", async () => {
  const { code, out, err } = await runToEnd({ PACKHOUSE_DATA: "/sys/packhouse" });
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^packhouse: cannot use \/sys\/packhouse: [^\n]+\n$/);
});

// Where nobody may mount (a container without the right to), no disk can be full or read-only.
if (mayMount) {
  test("a folder that cannot be written is told in one line", async () => {
    run("mount", "-o", "remount,ro", disk);
    try {
      const { code, out, err } = await runToEnd({ PACKHOUSE_DATA: join(disk, "data") });
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toMatch(/^packhouse: [^\n]*read-only[^\n]*\n$/);
    } finally {
      run("mount", "-o", "remount,rw", disk);
    }
  });

  test("a full disk is told in one line at the start, and the next start is as if nothing had been", async () => {
    mkdirSync(join(disk, "data"));
    const ballast = fill(0);
    const { code, out, err } = await runToEnd({ PACKHOUSE_DATA: join(disk, "data") });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^packhouse: [^\n]*(?:no space|full)[^\n]*\n$/);
    rmSync(ballast);
    const child = await startChild(join(disk, "data"));
    expect((await send(child, "GET", "/health")).status).toBe(200);
    child.kill("SIGTERM");
    expect((await child.ended).code).toBe(0);
  });

  test("a disk that fills up under it refuses uploads and loses none that was answered", async () => {
    const child = await startChild(join(disk, "data"));
    expect((await send(child, "POST", "/repo", { name: "tools", type: "apt", accepts: ["**"] })).status).toBe(201);
    const answered: Parcel[] = [];
    for (let number = 1; number <= 3; number += 1) {
      if (await deliver(child, parcel(number))) answered.push(parcel(number));
    }
    await expectWhole(child, "tools", answered.slice(3));
    const ballast = fill(40_000);
    let refused = 0;
    for (let number = 10; number < 30; number += 1) {
      const one = parcel(number);
      const taken = await deliver(child, one).catch(() => false);
      if (taken) answered.push(one);
      else refused += 1;
    }
    expect(refused).toBeGreaterThan(0);
    rmSync(ballast);
    const last = parcel(100);
    await expect.poll(() => deliver(child, last).catch(() => false), { timeout: 30_000, interval: 500 }).toBe(true);
    child.kill("SIGTERM");
    expect((await child.ended).code).toBe(0);
    const again = await startChild(join(disk, "data"));
    const seen = [...new Map([...answered, last].map((one) => [one.name, one])).values()];
    expect((await send(again, "GET", "/repo/tools")).status).toBe(200);
    await expectNames(again, seen);
    again.kill("SIGTERM");
    await again.ended;
  }, 180_000);
}

async function expectNames(child: { url: string; token: string }, parcels: readonly Parcel[]): Promise<void> {
  await expect
    .poll(async () => (await aptPackages(child, "tools")).map(({ name }) => name).sort(), {
      timeout: 90_000,
      interval: 500,
    })
    .toEqual(expect.arrayContaining(parcels.map(({ name }) => name)));
}
