import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { ask, ended, objectsUnder, sha256 } from "../support/surface-requests.ts";
import { openWorkbench, type Workbench } from "../support/workbench.ts";

const run = promisify(execFile);
const MIB = 1024 ** 2;
const FOLDER = "big/debian/bookworm/amd64";
let packhouse: TestPackhouse;
let bench: Workbench;

beforeAll(async () => {
  packhouse = await startPackhouse();
  bench = await openWorkbench("multipart");
});
afterAll(async () => {
  await packhouse.remove();
  await bench.remove();
});

test("150 MB go up in parts with curl, and come down as they were", async () => {
  const bytes = Buffer.concat([randomBytes(MIB), Buffer.alloc(149 * MIB, "packhouse")]);
  const path = `${FOLDER}/image.bin`;
  const asked = await ask(packhouse, path, { size: bytes.length, sha256: sha256(bytes) });
  expect(asked.status).toBe(200);
  const { upload, job } = asked.body;
  expect(upload).toMatchObject({ method: "PUT", part_size: 16 * MIB, parts_total: 10, parts_received: 0, next: null });
  const file = join(bench.folder, "image.bin");
  await writeFile(file, bytes);
  for (const { number, offset, size, url, headers } of upload.parts) {
    const part = join(bench.folder, `part-${number}`);
    await writeFile(part, bytes.subarray(offset, offset + size));
    const given = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    await run("curl", ["-sSf", "-T", part, ...given, url]);
  }
  expect((await packhouse.call("GET", `/packages/${FOLDER}`)).body["image.bin"].state).toBe("awaiting");
  const completed = await packhouse.call("POST", upload.complete);
  expect(completed).toMatchObject({ status: 200, body: { name: "image.bin", job, upload: null } });
  expect(await ended(packhouse, job)).toMatchObject({ state: "done" });
  expect((await packhouse.call("GET", `/packages/${FOLDER}`)).body["image.bin"]).toMatchObject({
    state: "stored",
    sha256: sha256(bytes),
    size_bytes: bytes.length,
  });
  const copy = join(bench.folder, "copy.bin");
  await run("curl", ["-sSfL", "-o", copy, `${packhouse.url}/packages/${path}`]);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(copy)) hash.update(chunk);
  expect(hash.digest("hex")).toBe(sha256(bytes));
  await expect.poll(() => objectsUnder(packhouse, "incoming/")).toEqual([]);
});
