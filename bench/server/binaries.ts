import { createHash, randomBytes } from "node:crypto";
import { ancestorsOf, type StoredBinary, touchLevel, writeBinary } from "../../shared/binary/node.ts";
import { writeHints } from "../../shared/binary/search-hints.ts";
import { sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import { putUploadJob, uploadJobId } from "../../shared/job/upload-job.ts";
import { putPackage } from "../../shared/package.ts";
import type { Table } from "../../shared/store/dynamo.ts";
import { memoryContext } from "../../test/support/memory-context.ts";
import type { Rows } from "./rows.ts";

/** What the table holds of a binary whose upload no repo took, once that is over. Its bytes, which only a download reads, are not stored. */
export async function putBinary(ctx: Context, segments: readonly string[], bytes: string): Promise<void> {
  const path = segments.join("/");
  const at = ctx.now().toISOString();
  const file = { sha256: sha256Of(bytes), sizeBytes: Buffer.byteLength(bytes), filename: segments.at(-1) ?? "" };
  const hash = (algorithm: string) => createHash(algorithm).update(bytes).digest("hex");
  const digests = { sha512: hash("sha512"), sha1: hash("sha1"), md5: hash("md5") };
  const { sha256, sizeBytes, format, signed } = await putPackage(
    ctx,
    { format: "file" },
    { ...file, heldBy: path, digests },
  );
  const job = uploadJobId(randomBytes(16).toString("hex"), path);
  const { sha512 } = digests;
  const stored: StoredBinary = { sha256, sizeBytes, sha512, signed, format, job, replace: false, settled: true, at };
  await writeBinary(ctx, segments, undefined, { stored });
  for (const level of ancestorsOf(segments)) await touchLevel(ctx, level, at);
  await writeHints(ctx, [{ segments, stored }]);
  await putUploadJob(ctx, job, { binary: path, state: "done", notes: [], repos: [], at });
}

/** A context whose writes of the table are rows, and which has nothing else; nothing is there before. */
export function contextOver(rows: Rows): Context {
  const made = new Set<string>();
  const none = async (): Promise<never> => {
    throw new Error("nothing is read while a table is filled");
  };
  const table: Table = {
    get: none,
    getMany: none,
    query: none,
    delete: none,
    putMany: none,
    async put(item) {
      rows.put(item);
      return true;
    },
    async update({ pk, sk }, { set }) {
      // Levels: above many binaries lies the same one.
      const key = `${pk}\n${sk}`;
      if (!made.has(key)) rows.put({ pk, sk, ...set });
      made.add(key);
      return true;
    },
  };
  return { ...memoryContext(), table, now: () => new Date() };
}
