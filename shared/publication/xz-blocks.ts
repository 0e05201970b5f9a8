import { z } from "zod";
import { isSha256, type Sha256, sha256Of } from "../blob.ts";
import type { Repo } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import type { BlobStore, Fragment } from "../tree/leaf.ts";
import { type XzBlock, xzBlockOf } from "../xz-encode/stream.ts";
import type { BuildContext } from "./build.ts";

/** Keys that one request asks for. */
const BATCH = 100;

const Remembered = z.object({
  block: z.custom<Sha256>((value) => typeof value === "string" && isSha256(value)),
  unpaddedBytes: z.number().int(),
  plainBytes: z.number().int(),
});
type Remembered = z.infer<typeof Remembered>;

/**
 * The xz blocks of fragments. Each is made once ever, whatever indexes the fragment stands in: to compress so takes some
 * hundred times as long as to read.
 */
export type XzBlocks = {
  /** What is remembered of these, to be asked first. One request for each hundred. */
  recall(fragments: readonly Fragment[]): Promise<void>;
  /** One read of a block that is there; a new one costs the time to make it and two writes. */
  blockOf(fragment: Fragment, plain: Uint8Array): Promise<XzBlock>;
};

/** Undefined where a repo wants no index in xz. */
export function xzBlocksOf(ctx: BuildContext, repo: Repo): XzBlocks | undefined {
  return repo.indexes.includes("xz") ? xzBlocksIn(ctx) : undefined;
}

export function xzBlocksIn({ table, objects }: BuildContext): XzBlocks {
  const known = new Map<Sha256, Remembered>();
  let lastMade: Promise<unknown> = Promise.resolve();
  // One after the other: each takes ten times its text in memory, and none is sooner done beside others.
  const make = (plain: Uint8Array) => {
    const made = lastMade.then(() => xzBlockOf(plain));
    lastMade = made.catch(() => {});
    return made;
  };
  return {
    async recall(fragments) {
      const unknown = [...new Set(fragments.map(({ sha256 }) => sha256))].filter((sha256) => !known.has(sha256));
      for (let start = 0; start < unknown.length; start += BATCH) {
        const some = unknown.slice(start, start + BATCH);
        const items = await table.getMany(some.map(keys.xzBlock));
        for (const [index, item] of items.entries()) {
          const sha256 = some[index];
          if (item && sha256) known.set(sha256, Remembered.parse(item));
        }
      }
    },

    async blockOf(fragment, plain) {
      const remembered = known.get(fragment.sha256);
      if (remembered) return readBlock(objects, remembered);
      const made = await make(plain);
      const { unpaddedBytes, plainBytes } = made;
      // The bytes first: what is remembered is there.
      const item: Remembered = { block: await objects.putBlob(made.bytes), unpaddedBytes, plainBytes };
      await table.put({ ...keys.xzBlock(fragment.sha256), ...item });
      known.set(fragment.sha256, item);
      return made;
    },
  };
}

async function readBlock(store: BlobStore, { block, unpaddedBytes, plainBytes }: Remembered): Promise<XzBlock> {
  const bytes = await store.getBlob(block);
  if (sha256Of(bytes) !== block) throw new Error(`xz block ${block} is damaged`);
  return { bytes, unpaddedBytes, plainBytes };
}
