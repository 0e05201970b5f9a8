import { z } from "zod";
import type { Context } from "../context.ts";
import { durationInput, TEN_YEARS_SECONDS } from "../duration.ts";
import { AppError } from "../error.ts";
import { type ImportedKey, importSigningKey } from "../signing/import.ts";
import { alterRepo, changedMeanwhile, SWEEP_SECONDS } from "./alter.ts";
import { expiryOf, nameOfKey, newSigningKey, type RingEntry, ringOf, stillSigning, storeKey } from "./keyring.ts";
import { findRepo, type Repo } from "./repo.ts";
import { PrivateKeyText } from "./settings.ts";

const DEFAULT_OVERLAP_SECONDS = 30 * 86_400;
/** Each signs every publication, and stands in every key file. */
const MOST_KEYS = 6;
const MOST_ATTEMPTS = 5;

/** What a caller may say of a rotation: `overlap` in words, here in seconds. */
export const Rotation = z.strictObject({
  overlap: durationInput(0, TEN_YEARS_SECONDS).optional(),
  /** An armored private key to use; without it, one is made. */
  key: PrivateKeyText.optional(),
});
export type Rotation = z.infer<typeof Rotation>;

/**
 * Gives a repo a new key. For the time of the overlap those before sign too, so that clients which hold the one or the other go
 * on; then the new one alone. A key that is on its way out already ends no later than it would have. Of two rotations at once
 * one happens, and the other is a `conflict`. One conditional write decides; what died before it left a key that nobody names.
 */
export async function rotateKey(
  ctx: Context,
  found: Repo,
  { overlap = DEFAULT_OVERLAP_SECONDS, key: text }: Rotation,
): Promise<Repo> {
  const began = await ringOf(ctx, found);
  const key = text === undefined ? await newSigningKey(ctx, found) : await importSigningKey(text, ctx.now());
  if (began[0]?.keyId === key.keyId) {
    throw new AppError("conflict", `repo ${found.name} signs with key ${key.keyId} already; give another one`);
  }
  const made = nameOfKey(ctx, key);
  await storeKey(ctx, found.id, made, key);
  // Keys that ended at once are removed then, and so is this one where it comes to nothing.
  await ctx.queues.worker({ kind: "resign", type: found.type, name: found.name }, SWEEP_SECONDS);
  return withKey(ctx, found, began, { made, key, overlapSeconds: overlap });
}

type Newest = { readonly made: string; readonly key: ImportedKey; readonly overlapSeconds: number };

async function withKey(ctx: Context, found: Repo, began: readonly RingEntry[], newest: Newest): Promise<Repo> {
  let repo = found;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const signing = await ringBehind(ctx, repo, newest);
    const altered = await alterRepo(ctx, repo, { ...repo, signing }, `rotate the key: ${newest.key.keyId}`);
    if (altered) return altered;
    const now = await findRepo(ctx, repo);
    if (now?.id !== found.id) throw new AppError("not_found", `no repo ${found.name}: somebody else removed it`);
    // A change of other settings does not matter; another key does.
    if ((await ringOf(ctx, now))[0]?.made !== began[0]?.made) throw changedMeanwhile(found);
    repo = now;
  }
  throw changedMeanwhile(found);
}

/** The new key, and behind it those that sign on until the overlap ends, or until their own time does. */
async function ringBehind(ctx: Context, repo: Repo, { made, key, overlapSeconds }: Newest): Promise<RingEntry[]> {
  const now = ctx.now();
  const end = new Date(now.getTime() + overlapSeconds * 1000).toISOString();
  const leaving: RingEntry[] = [];
  for (const entry of await ringOf(ctx, repo)) {
    if (entry.keyId === key.keyId) continue;
    const ends = [end, entry.until, await expiryOf(ctx, repo, entry.made)].filter((one) => typeof one === "string");
    leaving.push({ ...entry, until: ends.sort()[0] ?? end });
  }
  const ring = stillSigning([{ keyId: key.keyId, made, until: null }, ...leaving], now);
  if (ring.length <= MOST_KEYS) return ring;
  throw new AppError(
    "conflict",
    `repo ${repo.name} has ${MOST_KEYS} keys that sign already; wait until one is over, or rotate without overlap`,
  );
}
