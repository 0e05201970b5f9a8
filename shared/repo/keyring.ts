import { z } from "zod";
import type { Context } from "../context.ts";
import type { ImportedKey } from "../signing/import.ts";
import { generateSigningKey, type SigningKey } from "../signing/openpgp.ts";
import { Sealed } from "../signing/sealer.ts";
import { everyItem } from "../store/dynamo.ts";
import { keys, partitions } from "../store/keys.ts";
import type { Repo } from "./repo.ts";

/** What a publication is signed with. */
export type SigningKeyring = {
  /** Newest first, as key files list them. */
  readonly privateKeys: readonly string[];
  /** What tells one ring from another: a fingerprint, and where a key took the place of another one also when. */
  readonly keyIds: readonly string[];
};

/**
 * A key of a repo as the repo's own item names it, newest first; a repo that names none has the one of its birth. Which keys sign
 * is decided by that item alone, so that who reads it once signs everything alike.
 */
export const RingEntry = z.object({
  /** The fingerprint. */
  keyId: z.string(),
  /** Under what the key itself is stored: when it was made, and so sorted. */
  made: z.string(),
  /** From when on it signs no more; null for the newest. */
  until: z.string().nullable(),
});
export type RingEntry = z.infer<typeof RingEntry>;

const KeyItem = z.object({ keyId: z.string(), sealed: Sealed, expires: z.string().optional() });
type KeyItem = z.infer<typeof KeyItem>;

/** Keys of a warm process, unsealed; few. What is stored under a name never changes. */
const warm = new WeakMap<Context, Map<string, SigningKey>>();
const WARM_KEYS = 100;

/** No key that is not in its ring is in use so long after it was made: a rotation that ended has named it by then. */
const UNNAMED_MS = 10 * 60_000;

/** The keys a repo signs with now; the first is made with the repo's first publication. */
export async function keyringOf(ctx: Context, repo: Repo): Promise<SigningKeyring> {
  const ring = await ringOf(ctx, repo);
  const signing = await Promise.all(ring.map(({ made }) => signingKeyOf(ctx, repo, made)));
  return {
    privateKeys: signing.map(({ privateKeyArmored }) => privateKeyArmored),
    keyIds: ring.map(({ keyId, made }) => (made === repo.createdAt ? keyId : `${keyId} ${made}`)),
  };
}

/** The keys that are not over, the newest first; makes the first where there is none. */
export async function ringOf(ctx: Context, repo: Repo): Promise<readonly RingEntry[]> {
  if (repo.signing.length > 0) return stillSigning(repo.signing, ctx.now());
  const known = warm.get(ctx)?.get(warmName(repo, repo.createdAt));
  const born = known ?? (await keyItemOf(ctx, repo, repo.createdAt)) ?? (await makeFirstKey(ctx, repo));
  return [{ keyId: born.keyId, made: repo.createdAt, until: null }];
}

/** The newest stays, whatever it says. */
export function stillSigning(ring: readonly RingEntry[], now: Date): RingEntry[] {
  return ring.filter(({ until }, index) => index === 0 || until === null || Date.parse(until) > now.getTime());
}

/** Of the newest key; null before there is one. One read at most. */
export async function keyIdOf(ctx: Context, repo: Repo): Promise<string | null> {
  return repo.signing[0]?.keyId ?? (await keyItemOf(ctx, repo, repo.createdAt))?.keyId ?? null;
}

/** When the key stored under that name expires; undefined where it never does. */
export async function expiryOf(ctx: Context, repo: Repo, made: string): Promise<string | undefined> {
  return (await keyItemOf(ctx, repo, made))?.expires;
}

/** The private key stored under that name. A fault where it is gone: whoever reads the repo anew finds another ring. */
export async function signingKeyOf(ctx: Context, repo: Pick<Repo, "id">, made: string): Promise<SigningKey> {
  const known = warm.get(ctx) ?? new Map<string, SigningKey>();
  warm.set(ctx, known);
  const name = warmName(repo, made);
  const kept = known.get(name);
  if (kept) return kept;
  const item = await keyItemOf(ctx, repo, made);
  if (!item) throw new Error(`the key ${made} of repo ${repo.id} is gone`);
  const privateKeyArmored = Buffer.from(await ctx.sealer.unseal(item.sealed, repo.id)).toString("utf8");
  const key = { keyId: item.keyId, privateKeyArmored };
  if (known.size >= WARM_KEYS) known.clear();
  known.set(name, key);
  return key;
}

function warmName({ id }: Pick<Repo, "id">, made: string): string {
  return `${id} ${made}`;
}

async function keyItemOf(ctx: Context, repo: Pick<Repo, "id">, made: string): Promise<KeyItem | undefined> {
  const item = await ctx.table.get(keys.signingKey(repo.id, made));
  return item && KeyItem.parse(item);
}

/** A key like the one that a new repo gets. Takes a second or two. */
export async function newSigningKey(ctx: Context, repo: Pick<Repo, "label" | "type">): Promise<ImportedKey> {
  const userId = `${repo.label} (${repo.type} repository)`;
  return { ...(await generateSigningKey({ userId, now: ctx.now() })), expiresAt: undefined };
}

/** Stores a key, sealed, unless there is one under that name; it signs when the repo's item names it. */
export async function storeKey(ctx: Context, repoId: string, made: string, key: ImportedKey): Promise<void> {
  const sealed = await ctx.sealer.seal(Buffer.from(key.privateKeyArmored), repoId);
  const expires = key.expiresAt?.toISOString();
  await ctx.table.put(
    { ...keys.signingKey(repoId, made), keyId: key.keyId, sealed, ...(expires === undefined ? {} : { expires }) },
    { absent: true },
  );
}

/** The name to store a further key under: no two keys share one, and the newest is the last. */
export function nameOfKey(ctx: Context, { keyId }: SigningKey): string {
  return `${ctx.now().toISOString()} ${keyId}`;
}

export async function removeKey(ctx: Context, repoId: string, made: string): Promise<void> {
  await ctx.table.delete(keys.signingKey(repoId, made));
}

/** Removes the private keys that sign no more, and those of rotations that came to nothing. */
export async function sweepKeys(ctx: Context, repo: Repo): Promise<void> {
  const named = new Set([
    ...(repo.signing.length === 0 ? [repo.createdAt] : []),
    ...repo.signing.map(({ made }) => made),
  ]);
  const old = new Date(ctx.now().getTime() - UNNAMED_MS).toISOString();
  for await (const { sk } of everyItem(ctx.table, partitions.signingKeys(repo.id))) {
    if (!named.has(sk) && sk < old) await removeKey(ctx, repo.id, sk);
  }
}

/** Of two that make it at once, one is kept: its name is the repo's own birthday. */
async function makeFirstKey(ctx: Context, repo: Repo): Promise<KeyItem> {
  await storeKey(ctx, repo.id, repo.createdAt, await newSigningKey(ctx, repo));
  const born = await keyItemOf(ctx, repo, repo.createdAt);
  if (!born) throw new Error(`the first key of repo ${repo.id} is gone`);
  return born;
}
