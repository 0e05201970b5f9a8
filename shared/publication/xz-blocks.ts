import { z } from "zod";
import { isSha256, type Sha256, sha256Of } from "../blob.ts";
import type { Repo } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import { Retelling, sharesOf } from "../xz-encode/retell.ts";
import type { Script } from "../xz-encode/script.ts";
import { toldBy, type XzBlock, xzBlockOf, xzStreamOf } from "../xz-encode/stream.ts";
import type { BuildContext } from "./build.ts";
import { type PlacedFragment, type Run, runsOf } from "./xz-runs.ts";

/** Keys that one request asks for. */
const BATCH = 100;

const Remembered = z.object({
  block: z.custom<Sha256>((value) => typeof value === "string" && isSha256(value)),
  unpaddedBytes: z.number().int(),
  plainBytes: z.number().int(),
  patchedBytes: z.number().int(),
});
type Remembered = z.infer<typeof Remembered>;

/**
 * Indexes in xz: a block for each run of fragments. Each is made once, whatever indexes the run stands in; what changed in a run is
 * all that is compressed anew, since to find how a text is told best takes ten times as long as to read and to write it.
 */
export type XzBlocks = {
  /**
   * An index of these fragments. `earlier` are those of the index before, asked for where there is a run that no block is remembered of.
   * One request for each hundred runs.
   */
  begin(
    fragments: readonly PlacedFragment[],
    earlier: () => Promise<readonly PlacedFragment[] | undefined>,
  ): Promise<XzIndex>;
};

/** Is given the text of an index in its order. */
export type XzIndex = {
  /** Text that is of no fragment. */
  frame(text: Uint8Array): Promise<void>;
  /** That of the next fragment. One read of a block that is there; a new one costs the time to make it, reads of what it is made from, and two writes. */
  add(text: Uint8Array): Promise<void>;
  /** The file. */
  end(): Buffer;
};

/** Undefined where a repo wants no index in xz. */
export function xzBlocksOf(ctx: BuildContext, repo: Repo): XzBlocks | undefined {
  return repo.indexes.includes("xz") ? xzBlocksIn(ctx) : undefined;
}

export function xzBlocksIn(ctx: BuildContext): XzBlocks {
  let lastMade: Promise<unknown> = Promise.resolve();
  // One after the other: each takes ten times its text in memory, and none is sooner done beside others.
  const inTurn = (make: () => Promise<XzBlock>) => {
    const made = lastMade.then(make);
    lastMade = made.catch(() => {});
    return made;
  };
  return {
    async begin(fragments, earlier) {
      const runs = runsOf(fragments);
      const known = await recall(ctx, runs);
      const before = runs.every(({ name }) => known.has(name)) ? [] : runsOf((await earlier()) ?? []);
      const blocks: XzBlock[] = [];
      let place = 0;
      let text: Buffer | undefined;
      let [filled, count] = [0, 0];
      const endRun = async (run: Run) => {
        const remembered = known.get(run.name);
        if (remembered) {
          const block = await readBlock(ctx, remembered);
          if (!block) throw new Error(`xz block ${remembered.block} is damaged`);
          blocks.push(block);
        } else if (text) {
          const whole = text;
          blocks.push(
            await inTurn(async () => makeBlock(ctx, run, whole, await knownOf(ctx, run, whole, before, place))),
          );
        }
        place += 1;
        text = undefined;
        [filled, count] = [0, 0];
      };
      return {
        async frame(bytes) {
          if (bytes.length > 0) blocks.push(await xzBlockOf(bytes));
        },
        async add(bytes) {
          const run = runs[place];
          if (!run) throw new Error(`more texts than the ${fragments.length} of the index`);
          if (!known.has(run.name)) {
            text ??= Buffer.alloc(run.plainBytes);
            text.set(bytes, filled);
          }
          filled += bytes.length;
          count += 1;
          if (count === run.fragments.length) await endRun(run);
        },
        end: () => xzStreamOf(blocks),
      };
    },
  };
}

async function recall({ table }: BuildContext, runs: readonly Run[]): Promise<Map<Sha256, Remembered>> {
  const known = new Map<Sha256, Remembered>();
  const names = [...new Set(runs.map(({ name }) => name))];
  for (let start = 0; start < names.length; start += BATCH) {
    const some = names.slice(start, start + BATCH);
    const items = await table.getMany(some.map(keys.xzBlock));
    for (const [index, item] of items.entries()) {
      const name = some[index];
      if (item && name) known.set(name, Remembered.parse(item));
    }
  }
  return known;
}

/** How the blocks of the index before tell what is as it was. */
async function knownOf(
  ctx: BuildContext,
  run: Run,
  text: Uint8Array,
  before: readonly Run[],
  place: number,
): Promise<Script> {
  const shares = sharesOf(partsOf(run), before.map(partsOf), place);
  const runs = shares.flatMap(({ earlier }) => before[earlier] ?? []);
  const known = await recall(ctx, runs);
  const retelling = new Retelling(text);
  for (const [index, { stretches }] of shares.entries()) {
    const remembered = known.get(runs[index]?.name ?? run.name);
    const most = shares[index + 1]?.stretches[0]?.to ?? text.length;
    const block = remembered && (await readBlock(ctx, remembered));
    if (block) retelling.take(await toldBy(block), stretches, most);
  }
  return retelling.end();
}

function partsOf({ fragments }: Run): { id: string; plainBytes: number }[] {
  return fragments.map(({ sha256, plainBytes }) => ({ id: sha256, plainBytes }));
}

async function makeBlock(
  { table, objects }: BuildContext,
  run: Run,
  text: Uint8Array,
  known: Script,
): Promise<XzBlock> {
  const made = await xzBlockOf(text, known);
  const { bytes, ...sizes } = made;
  // The bytes first: what is remembered is there.
  const item: Remembered = { block: await objects.putBlob(bytes), ...sizes };
  await table.put({ ...keys.xzBlock(run.name), ...item });
  return made;
}

/** Undefined where it is damaged. */
async function readBlock({ objects }: BuildContext, { block, ...sizes }: Remembered): Promise<XzBlock | undefined> {
  const bytes = await objects.getBlob(block);
  return sha256Of(bytes) === block ? { bytes, ...sizes } : undefined;
}
