import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStoreDatabase } from "../../infra/local/copies.ts";
import { openDataFolder } from "../../infra/local/data-folder.ts";
import { BUCKET, openEndpoints, STORE_PATH } from "../../infra/local/endpoints.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "packhouse-copies-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const LARGE = "a file ".repeat(40_000);

/** A data folder with its endpoints, as the server and `npm run aws` open it. */
async function open(path: string) {
  const folder = openDataFolder(path);
  const warnings: string[] = [];
  const db = openStoreDatabase(folder, (text) => warnings.push(text));
  const endpoints = await openEndpoints(db, folder, {});
  const { region, ...credentials } = folder.aws;
  const s3 = new S3Client({ endpoint: endpoints.url + STORE_PATH, region, credentials, forcePathStyle: true });
  return {
    db,
    warnings,
    put: (Key: string, Body: string) => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body })),
    async text(Key: string) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      return await Body?.transformToString();
    },
    async close() {
      s3.destroy();
      await endpoints.close();
      db.close();
    },
  };
}

const formatOf = (path: string) => JSON.parse(readFileSync(join(path, "format.json"), "utf8"));

/** Deletes what copies more slowly than the database: the files of the bodies. */
function dropFiles(path: string): void {
  const data = join(path, "objects", "data");
  for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
}

test("a copy whose files are older than its database goes back to the newest instant that is whole, small bodies with it", async () => {
  const original = join(root, "original");
  const one = await open(original);
  await one.put("a", "small");
  await one.put("b", "smaller");
  await one.put("c", LARGE);
  await one.put("d", "after the file");
  await one.close();
  const copy = join(root, "copy");
  cpSync(original, copy, { recursive: true });
  dropFiles(copy);
  const two = await open(copy);
  expect(two.warnings).toEqual([expect.stringContaining("newest whole instant")]);
  expect([await two.text("a"), await two.text("b")]).toEqual(["small", "smaller"]);
  await expect(two.text("c")).rejects.toThrow();
  await expect(two.text("d")).rejects.toThrow();
  await two.put("d", "anew");
  expect(await two.text("d")).toBe("anew");
  await two.close();
});

test("a copy whose files are older is known as such, too, when it was made before bodies lay in the database", async () => {
  const original = join(root, "original");
  const one = await open(original);
  await one.put("c", LARGE);
  one.db.statement("DROP TABLE object_bytes").run();
  await one.close();
  writeFileSync(join(original, "format.json"), '{"format":1}\n');
  const copy = join(root, "copy");
  cpSync(original, copy, { recursive: true });
  dropFiles(copy);
  const two = await open(copy);
  expect(two.warnings).toEqual([expect.stringContaining("newest whole instant")]);
  await two.close();
});

test("a folder of before is marked once it is opened, so that the code before refuses it, and not while another has it", async () => {
  const path = join(root, "data");
  const one = await open(path);
  expect(formatOf(path)).toEqual({ format: 2 });
  writeFileSync(join(path, "format.json"), '{"format":1}\n');
  await expect(open(path)).rejects.toThrow("in use");
  expect(formatOf(path)).toEqual({ format: 1 });
  await one.close();
  const two = await open(path);
  expect(formatOf(path)).toEqual({ format: 2 });
  await two.close();
});
