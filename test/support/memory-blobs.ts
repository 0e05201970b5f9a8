import { Readable } from "node:stream";
import { type Sha256, sha256Of } from "../../shared/blob.ts";
import type { IndexStore } from "../../shared/publication/members.ts";

/** A blob store of a test's own that counts what it is asked. */
export type MemoryBlobs = IndexStore & {
  readonly held: Map<Sha256, Uint8Array>;
  readonly reads: Sha256[];
  readonly writes: Sha256[];
  /** Flips one bit of a blob. */
  damage(sha256: Sha256, offset?: number): void;
};

export function memoryBlobs(): MemoryBlobs {
  const held = new Map<Sha256, Uint8Array>();
  const reads: Sha256[] = [];
  const writes: Sha256[] = [];
  return {
    held,
    reads,
    writes,
    async putBlob(bytes) {
      const sha256 = sha256Of(bytes);
      writes.push(sha256);
      held.set(sha256, Uint8Array.from(bytes));
      return sha256;
    },
    async getBlob(sha256) {
      reads.push(sha256);
      const found = held.get(sha256);
      if (!found) throw new Error(`no blob ${sha256}`);
      return Uint8Array.from(found);
    },
    async openBlob(sha256, range) {
      reads.push(sha256);
      const found = held.get(sha256);
      if (!found) throw new Error(`no blob ${sha256}`);
      return Readable.from([found.subarray(range?.start, range?.end)]);
    },
    async putBlobStream(sha256, sizeBytes, stream) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (sha256Of(bytes) !== sha256 || bytes.length !== sizeBytes) throw new Error(`not the bytes of ${sha256}`);
      writes.push(sha256);
      const isNew = !held.has(sha256);
      held.set(sha256, bytes);
      return isNew;
    },
    damage(sha256, offset = 0) {
      const bytes = Uint8Array.from(held.get(sha256) ?? []);
      bytes[offset] = (bytes[offset] ?? 0) ^ 1;
      held.set(sha256, bytes);
    },
  };
}
