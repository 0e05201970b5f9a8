import { z } from "zod";
import type { Context } from "../context.ts";
import { generateSigningKey } from "../signing/openpgp.ts";
import { Sealed } from "../signing/sealer.ts";
import { everyItem } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import type { Repo } from "./repo.ts";

export type SigningKeyring = {
  /** Newest first, as key files list them. */
  readonly privateKeys: readonly string[];
  readonly keyIds: readonly string[];
};

const KeyItem = z.object({ keyId: z.string(), sealed: Sealed });

/** Unsealed rings of a warm process; few, and not for long, so that a rotation is seen. */
const warm = new WeakMap<Context, Map<string, { ring: SigningKeyring; at: number }>>();
const WARM_RINGS = 100;
const WARM_MS = 30_000;

/** The keys a repo signs with; the first is made with the repo's first publication. */
export async function keyringOf(ctx: Context, repo: Repo): Promise<SigningKeyring> {
  const rings = warm.get(ctx) ?? new Map<string, { ring: SigningKeyring; at: number }>();
  warm.set(ctx, rings);
  const known = rings.get(repo.id);
  if (known && ctx.now().getTime() - known.at < WARM_MS) return known.ring;
  const ring = await readKeyring(ctx, repo);
  if (rings.size >= WARM_RINGS) rings.clear();
  rings.set(repo.id, { ring, at: ctx.now().getTime() });
  return ring;
}

async function readKeyring(ctx: Context, repo: Repo): Promise<SigningKeyring> {
  const found: { keyId: string; privateKey: string }[] = [];
  for await (const item of everyItem(ctx.table, partitions.signingKeys(repo.id), { newestFirst: true })) {
    const { keyId, sealed } = KeyItem.parse(item);
    found.push({ keyId, privateKey: Buffer.from(await ctx.sealer.unseal(sealed, repo.id)).toString("utf8") });
  }
  if (found.length === 0) {
    await makeFirstKey(ctx, repo);
    return readKeyring(ctx, repo);
  }
  return { privateKeys: found.map(({ privateKey }) => privateKey), keyIds: found.map(({ keyId }) => keyId) };
}

/** Of two that make it at once, one is kept: its sort key is the repo's own birthday. */
async function makeFirstKey(ctx: Context, repo: Repo): Promise<void> {
  const { keyId, privateKeyArmored } = await generateSigningKey({
    userId: `${repo.label} (${repo.type} repository)`,
    now: ctx.now(),
  });
  const sealed = await ctx.sealer.seal(Buffer.from(privateKeyArmored), repo.id);
  await ctx.table.put({ ...keys.signingKey(repo.id, repo.createdAt), keyId, sealed }, { absent: true });
}
