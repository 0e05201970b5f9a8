import { isDeepStrictEqual } from "node:util";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { importSigningKey } from "../signing/import.ts";
import { keys } from "../store/keys.ts";
import { nameOfKey, type RingEntry, removeKey, ringOf, signingKeyOf, storeKey } from "./keyring.ts";
import { lastPublicationOf } from "./published.ts";
import { completeRepo, findRepo, isSettled, REMINDER_SECONDS, type Repo } from "./repo.ts";
import { chosen, HELD_TO, type RepoSettings } from "./settings.ts";

/** Later than any key is in use which no repo names. */
export const SWEEP_SECONDS = 900;

/**
 * Stores what changed of a repo's settings, and sees to what follows. A key that is given signs from now on, alone.
 *
 * @throws AppError `conflict` where the change would make clients stop that know the repo, unless it is forced
 */
export async function changeRepo(ctx: Context, before: Repo, settings: RepoSettings): Promise<Repo> {
  const after: Repo = { ...before, ...chosen(before, settings) };
  const force = settings.force ?? false;
  if (!force) await refuseWhatStopsClients(ctx, before, after);
  const { signing, stored } = await ringWith(ctx, before, settings.key, force);
  // A key that signs no more is removed then.
  if (stored !== undefined) {
    await ctx.queues.worker({ kind: "resign", type: before.type, name: before.name }, SWEEP_SECONDS);
  }
  if (isDeepStrictEqual({ ...after, signing }, before)) return before;
  const changed = await alterRepo(ctx, before, { ...after, signing });
  if (!changed) {
    if (stored !== undefined) await removeKey(ctx, before.id, stored);
    throw changedMeanwhile(before);
  }
  await forgetHints(ctx, before, changed);
  return changed;
}

export function changedMeanwhile({ name }: Repo): AppError {
  return new AppError("conflict", `repo ${name} was changed by somebody else meanwhile; read it again`);
}

/**
 * Stores another state of a repo's item in place of the one it was made from, and sees to what follows; where clients see the
 * difference, a commit of the same tree. Undefined where the item is another one by now.
 */
export async function alterRepo(ctx: Context, before: Repo, after: Repo, message?: string): Promise<Repo | undefined> {
  const version = before.version + 1;
  const seen = publishedSettings(after) !== publishedSettings(before);
  const changed: Repo = {
    ...after,
    version,
    // What the patterns match depends on settings alone.
    backfilled: before.backfilled === before.version && isOnlyRing(before, after) ? version : before.backfilled,
    settled: isSettled(before) && !seen ? version : (before.settled ?? before.version),
    updatedAt: ctx.now().toISOString(),
  };
  await ctx.queues.worker({ kind: "repair", type: before.type, name: before.name }, REMINDER_SECONDS);
  const written = await ctx.table.put(
    { ...keys.repo(before.type, before.name), ...changed },
    { equals: { id: before.id, version: before.version } },
  );
  // The SDK repeats a write whose answer was lost: then what stands in the way is our own.
  if (!written && !isDeepStrictEqual(await findRepo(ctx, before), changed)) return undefined;
  await completeRepo(ctx, changed, message);
  return changed;
}

function isOnlyRing(before: Repo, after: Repo): boolean {
  return isDeepStrictEqual({ ...after, signing: before.signing }, before);
}

/** The settings that a client sees in a publication. */
function publishedSettings(repo: Repo): string {
  const { suite, component, components, architectures, origin, label, description, notAutomatic } = repo;
  const { indexes, validFor, signing } = repo;
  return JSON.stringify([
    ...[suite, component, components, architectures, origin, label, description, notAutomatic],
    ...[indexes, validFor, signing.map(({ made }) => made)],
  ]);
}

async function refuseWhatStopsClients(ctx: Context, before: Repo, after: Repo): Promise<void> {
  const held = HELD_TO.filter((setting) => after[setting] !== before[setting]);
  if (held.length === 0 || !(await lastPublicationOf(ctx, before))) return;
  const changes = held.map((one) => `${one} from ${JSON.stringify(before[one])} to ${JSON.stringify(after[one])}`);
  throw new AppError(
    "conflict",
    `repo ${before.name} is published: apt clients stop at a changed origin, label or suite until their users agree; "force": true changes ${changes.join(", ")} all the same`,
    { changes: held },
  );
}

/**
 * The keys that sign when `text` is to be the repo's key. The same key again changes nothing; where its owner has prolonged it, the
 * new form takes its place, for clients that hold the old form verify with that still.
 */
async function ringWith(
  ctx: Context,
  repo: Repo,
  text: string | undefined,
  force: boolean,
): Promise<{ signing: RingEntry[]; stored?: string }> {
  if (text === undefined) return { signing: repo.signing };
  const key = await importSigningKey(text, ctx.now());
  const [newest, ...older] = await ringOf(ctx, repo);
  const same = newest?.keyId === key.keyId;
  if (newest && same && (await signingKeyOf(ctx, repo, newest.made)).privateKeyArmored === key.privateKeyArmored) {
    return { signing: repo.signing };
  }
  if (!same && !force && (await lastPublicationOf(ctx, repo))) {
    throw new AppError(
      "conflict",
      `repo ${repo.name} is published with key ${newest?.keyId}: clients that hold it would refuse another. POST it to /repo/${repo.name}/key/rotate, and both sign for a time; "force": true changes it at once`,
    );
  }
  const made = nameOfKey(ctx, key);
  await storeKey(ctx, repo.id, made, key);
  return { signing: [{ keyId: key.keyId, made, until: null }, ...(same ? older : [])], stored: made };
}

/**
 * Only what no later change has put there again. The hints of patterns stay: what a repo took by one that it has no more follows
 * its binary all the same, and a hint too many costs a read.
 */
async function forgetHints(ctx: Context, before: Repo, changed: Repo): Promise<void> {
  const earlier = { less: { attribute: "version", than: changed.version } };
  if (before.follow !== null && before.follow !== changed.follow) {
    await ctx.table.delete(keys.follower(before.type, before.follow, before.name), earlier);
  }
}
