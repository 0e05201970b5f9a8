import { z } from "zod";
import { type Sha256, sha256Of } from "../blob.ts";
import type { Context } from "../context.ts";
import { everyItem } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import type { UnnamedFile } from "./found.ts";
import type { Taken } from "./take.ts";
import type { Upstream } from "./upstream.ts";

const LearnedItem = z.object({
  sha256: z.custom<Sha256>((value) => typeof value === "string"),
  sizeBytes: z.number().int(),
});

/** What names a file that has no SHA-256 in its index: its checksum, or its address with what changes when it does. */
function nameOf(upstream: Upstream, { url, sizeBytes, checksum, version }: UnnamedFile): Sha256 {
  if (checksum) return sha256Of(JSON.stringify([checksum.algorithm, checksum.value, sizeBytes ?? null]));
  // What nothing tells from what it was may have changed with every sync.
  return sha256Of(JSON.stringify([url, version ?? upstream.job]));
}

/** What an upstream's files without a SHA-256 turned out to be. Read whole, once, when the first of them is asked for. */
export function learnedOf(ctx: Context, upstream: Upstream): (file: UnnamedFile) => Promise<Taken | undefined> {
  let all: Promise<Map<string, Taken>> | undefined;
  const read = async () => {
    const found = new Map<string, Taken>();
    for await (const item of everyItem(ctx.table, partitions.learned(upstream.id))) {
      found.set(item.sk, LearnedItem.parse(item));
    }
    return found;
  };
  return async (file) => {
    all ??= read();
    return (await all).get(nameOf(upstream, file));
  };
}

export async function rememberLearned(
  ctx: Context,
  upstream: Upstream,
  file: UnnamedFile,
  taken: Taken,
): Promise<void> {
  await ctx.table.put({ ...keys.learned(upstream.id, nameOf(upstream, file)), ...taken });
}
