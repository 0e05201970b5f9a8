import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { type Child, send, startChild } from "../support/surface-child.ts";
import { type PartAnswer, type PartsAnswer, putPart } from "../support/surface-parts.ts";
import { announced, sha256 } from "../support/surface-requests.ts";

const MIB = 1024 ** 2;
const FOLDER = "/packages/big/debian/bookworm/amd64";
const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-parts-"));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function kill(child: Child): Promise<void> {
  child.kill("SIGKILL");
  expect((await child.ended).signal).toBe("SIGKILL");
}

/** A curl that is killed when some of the part has gone out. */
async function brokenPut({ url, offset, size }: PartAnswer, bytes: Uint8Array): Promise<void> {
  const folder = newFolder();
  writeFileSync(join(folder, "part"), bytes.subarray(offset, offset + size));
  const curl = spawn("curl", ["-sS", "--limit-rate", "4M", "-T", join(folder, "part"), url ?? ""], { stdio: "ignore" });
  const ended = new Promise((resolve) => curl.on("close", resolve));
  await sleep(300);
  curl.kill("SIGKILL");
  await ended;
}

test("kill -9 of client and server in the midst: the upload goes on where it was, and ends as it should", async () => {
  const data = newFolder();
  const bytes = randomBytes(101 * MIB);
  let child = await startChild(data);
  const asked = await send(child, "POST", `${FOLDER}/`, { name: "image.bin", ...announced(bytes) });
  let upload: PartsAnswer = asked.body.upload;
  const id = upload.url.split("/").at(-1);
  const job = String(asked.body.job).split("/").at(-1);
  const path = `${FOLDER}/image.bin/uploads/${id}`;
  const [first, second, third] = upload.parts;
  if (!first || !second || !third) throw new Error("too few parts");

  await putPart(first, bytes);
  await brokenPut(second, bytes);
  expect((await send(child, "GET", path)).body).toMatchObject({ state: "open", parts_received: 1 });

  // The server goes while a part is on its way.
  const cut = putPart(third, bytes).catch(() => undefined);
  await sleep(20);
  await kill(child);
  await cut;
  child = await startChild(data);
  upload = (await send(child, "GET", path)).body;
  expect(upload.parts[0]).toMatchObject({ number: 1, size: 16 * MIB, etag: expect.stringMatching(/^"[0-9a-f]{32}"$/) });
  for (const part of upload.parts) if (part.url) await putPart(part, bytes);

  // And at any moment of completing and taking in.
  for (const pause of [0, 3, 10, 30, 100, 300]) {
    const completed = send(child, "POST", `${path}/complete`).catch(() => undefined);
    await sleep(pause);
    await kill(child);
    await completed;
    child = await startChild(data);
    expect((await send(child, "GET", path)).status).toBe(200);
  }
  expect((await send(child, "POST", `${path}/complete`)).status).toBe(200);
  await expect
    .poll(async () => (await send(child, "GET", `/jobs/${job}?wait=5`)).body.state, { timeout: 60_000 })
    .toBe("done");
  expect((await send(child, "GET", FOLDER)).body["image.bin"]).toMatchObject({
    state: "stored",
    sha256: sha256(bytes),
  });
  const got = await fetch(`${child.url}${FOLDER}/image.bin`);
  expect(sha256(new Uint8Array(await got.arrayBuffer()))).toBe(sha256(bytes));
  await kill(child);
}, 180_000);
