import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import type { WantedFile } from "../../shared/sync/batch.ts";
import { copyFiles } from "../../shared/sync/copy.ts";
import { SMALL_FILE_BYTES } from "../../shared/sync/take.ts";
import { createUpstream } from "../../shared/sync/upstream.ts";
import type { Fetcher } from "../../shared/upstream/fetch.ts";
import { UpstreamError } from "../../shared/upstream/fetch-error.ts";
import { memoryContext } from "../support/memory-context.ts";
import { counted, countsOf } from "../support/surface-cost.ts";
import { fetcherOver } from "../support/sync-memory-site.ts";

const ORIGIN = "http://lab.test";

async function benchOf(fetcher: (asked: string[]) => Fetcher) {
  const asked: string[] = [];
  const memory = memoryContext();
  const upstream = await createUpstream(memory, { type: "apt", name: "lab" }, { path: ORIGIN }, "root");
  const { ctx, calls } = counted({ ...memory, fetcher: fetcher(asked) });
  const copy = (files: readonly WantedFile[], mirrors: readonly string[] = []) =>
    copyFiles(ctx, upstream, { files, mirrors });
  return { asked, memory, calls, copy };
}

function over(files: ReadonlyMap<string, Buffer>) {
  return (asked: string[]): Fetcher =>
    fetcherOver(ORIGIN, (path) => {
      asked.push(path);
      return files;
    });
}

function filesOf(count: number, sizeBytes = 100): Map<string, Buffer> {
  return new Map(Array.from({ length: count }, (_, nth) => [`pool/${nth}`, randomBytes(sizeBytes)]));
}

function known(files: ReadonlyMap<string, Buffer>): WantedFile[] {
  return [...files].map(([path, bytes]) => ({
    sha256: sha256Of(bytes),
    sizeBytes: bytes.length,
    url: `${ORIGIN}/${path}`,
  }));
}

test("a small file costs one request of the upstream and one of the store, a batch one more", async () => {
  const files = filesOf(200);
  const { asked, memory, calls, copy } = await benchOf(over(files));
  expect(await copy(known(files))).toEqual({ packages: 200, bytes: 20_000 });
  expect(asked.length).toBe(200);
  expect(countsOf(calls())).toEqual({ "objects.listBlobs": 1, "objects.putBlob": 200 });
  for (const bytes of files.values()) expect(memory.blobs.held.get(sha256Of(bytes))).toEqual(new Uint8Array(bytes));
});

test("what is held already is neither fetched nor stored, and counts", async () => {
  const files = filesOf(40);
  const { asked, memory, calls, copy } = await benchOf(over(files));
  for (const bytes of [...files.values()].slice(0, 35)) await memory.blobs.putBlob(bytes);
  expect(await copy(known(files))).toEqual({ packages: 40, bytes: 4000 });
  expect(asked.length).toBe(5);
  expect(countsOf(calls())).toMatchObject({ "objects.listBlobs": 1, "objects.putBlob": 5 });
});

test("a file that is not small is never in memory whole", async () => {
  const files = filesOf(2, SMALL_FILE_BYTES + 1);
  const { calls, copy } = await benchOf(over(files));
  expect((await copy(known(files))).bytes).toBe(2 * (SMALL_FILE_BYTES + 1));
  expect(countsOf(calls())["objects.putBlobStream"]).toBe(2);
});

test("what came beside a file that is wrong is stored, and not fetched again", async () => {
  const files = filesOf(30);
  const wanted = known(files);
  const { asked, memory, copy } = await benchOf(over(files));
  const right = files.get("pool/7") as Buffer;
  files.set("pool/7", randomBytes(100));
  await expect(copy(wanted)).rejects.toThrow(/pool\/7.*sha256/);
  expect(memory.blobs.held.has(sha256Of(right))).toBe(false);
  expect(wanted.filter(({ url }) => memory.blobs.held.has(hashAt(wanted, url))).length).toBe(29);
  files.set("pool/7", right);
  asked.length = 0;
  expect(await copy(wanted)).toEqual({ packages: 30, bytes: 3000 });
  expect(asked).toEqual(["pool/7"]);
});

test("files without a SHA-256 are checked by what their index has, and remembered", async () => {
  const files = filesOf(20);
  const { memory, calls, copy } = await benchOf(over(files));
  const wanted = [...files].map(([path, bytes]) => ({
    name: path,
    url: `${ORIGIN}/${path}`,
    sizeBytes: bytes.length,
    checksum: { algorithm: "md5" as const, value: createHash("md5").update(bytes).digest("hex") },
  }));
  expect(await copy(wanted)).toEqual({ packages: 20, bytes: 2000 });
  expect(countsOf(calls())).toMatchObject({ "objects.putBlob": 20, "table.put": 20 });
  for (const bytes of files.values()) expect(memory.blobs.held.has(sha256Of(bytes))).toBe(true);
  files.set("pool/3", randomBytes(100));
  await expect(copy(wanted)).rejects.toThrow(/pool\/3.*md5/);
});

test("what the first mirror does not give is asked of the others", async () => {
  const files = filesOf(3);
  const { copy, memory } = await benchOf((asked) => {
    const good = over(files)(asked);
    return {
      ...good,
      async get(url, want) {
        if (url.startsWith(`${ORIGIN}/bad/`)) {
          throw new UpstreamError("status", { url, expected: "200", got: "404", status: 404 });
        }
        return good.get(url, want);
      },
    };
  });
  const wanted = known(files).map((file) => ({ ...file, url: file.url.replace(ORIGIN, `${ORIGIN}/bad`) }));
  await copy(wanted, [`${ORIGIN}/bad/`, `${ORIGIN}/`]);
  for (const bytes of files.values()) expect(memory.blobs.held.has(sha256Of(bytes))).toBe(true);
});

function hashAt(files: readonly WantedFile[], url: string): Sha256 {
  const found = files.find((file) => file.url === url);
  if (!found || !("sha256" in found)) throw new Error("no such file");
  return found.sha256;
}
