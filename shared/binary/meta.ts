import pMap from "p-map";
import { jsonIn, type Sha256 } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackage, type Package, type Parsed, parsedOf } from "../package.ts";
import { everyHead, type HeadChain } from "../repo/heads.ts";
import { giftsOf } from "../tree/givers.ts";
import { rowsHolding } from "../tree/hashes.ts";
import { describeRow, type Place } from "../tree/layout.ts";
import { readTree } from "../tree/root.ts";
import { type Binary, findBinary, hasLapsed } from "./node.ts";

/** A repo that holds what a binary names, and whether it does so because of that binary: then it follows it. */
export type Carrier = {
  readonly chain: HeadChain;
  readonly commit: number;
  readonly places: readonly Place[];
  readonly follows: boolean;
};

export type BinaryMeta = {
  readonly binary: Binary;
  readonly pkg: Package | undefined;
  readonly parsed: Parsed | undefined;
  readonly extra: unknown;
  readonly carriers: readonly Carrier[];
};

const PARALLEL = 8;

/**
 * All that is known of a binary. @throws AppError `not_found`
 *
 * Costs three reads; what the heads of all repos cost, and a few reads of each distinct tree.
 */
export async function metaOf(ctx: Context, segments: readonly string[]): Promise<BinaryMeta> {
  const binary = await findBinary(ctx, segments);
  if (!binary || hasLapsed(binary, ctx.now().toISOString())) {
    throw new AppError("not_found", `no binary ${segments.at(-1)}`);
  }
  const { stored, awaited } = binary;
  const extra = await extraOf(ctx, (stored ?? awaited)?.labels?.extra);
  if (!stored) return { binary, pkg: undefined, parsed: undefined, extra, carriers: [] };
  const pkg = stored.format === "unreadable" ? undefined : await findPackage(ctx, stored.sha256);
  const [parsed, carriers] = await Promise.all([
    pkg && parsedOf(ctx, pkg),
    carriersOf(ctx, segments.join("/"), stored.sha256),
  ]);
  return { binary, pkg, parsed, extra, carriers };
}

async function extraOf(ctx: Context, blob: Sha256 | undefined): Promise<unknown> {
  if (blob === undefined) return null;
  const extra: unknown = jsonIn(await ctx.objects.getBlob(blob));
  return extra;
}

async function carriersOf(ctx: Context, path: string, sha256: Sha256): Promise<Carrier[]> {
  const rows = new Map<string, ReturnType<typeof rowsHolding>>();
  const rowsIn = ({ hashes }: Commit) => {
    const found =
      rows.get(hashes) ?? readTree(ctx.objects, hashes).then((tree) => rowsHolding(ctx.objects, tree, sha256));
    rows.set(hashes, found);
    return found;
  };
  const carriers: Carrier[] = [];
  for await (const heads of everyHead(ctx)) {
    const found = await pMap(
      heads.filter(({ chain }) => chain.kind === "repo"),
      async ({ chain, head }) => {
        const held = await rowsIn(head);
        if (held.length === 0) return [];
        const places = held.flatMap((row) => describeRow(chain.type, row).place ?? []);
        const gifts = await giftsOf(ctx.objects, head.givers, [path]);
        return [{ chain, commit: head.number, places, follows: gifts.some((gift) => gift.sha256 === sha256) }];
      },
      { concurrency: PARALLEL },
    );
    carriers.push(...found.flat());
  }
  return carriers;
}
