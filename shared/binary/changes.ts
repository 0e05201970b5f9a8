import pMap from "p-map";
import type { Context } from "../context.ts";
import { findBeside } from "./beside.ts";
import type { Unsettled } from "./ingest.ts";
import { type Gathered, gather, type Part } from "./parts.ts";
import {
  decide,
  type FindOwners,
  forgetParts,
  isDecided,
  keepWaiting,
  noteParts,
  ownersAmong,
  shortened,
  waitLeftOf,
} from "./waiting.ts";
import type { WholeChanges } from "./whole.ts";

/** What may go into the repos now: each for itself, and what goes in together. */
export type Sorted = {
  readonly alone: readonly Unsettled[];
  readonly whole: readonly WholeChanges[];
  /** What waited and will wait no more, once these are settled. */
  readonly waited: readonly Waited[];
};

type Waited = { readonly owner: Unsettled; readonly parts: readonly Part[] };

const PARALLEL = 8;

/**
 * Tells what of these may go into the repos by itself, and which .changes and .dsc they complete. A .dsc waits for its parts; what a
 * .changes names waits for all else that it names, from when that .changes is here or the upload said so. What is left out waits; what
 * waited in vain is refused, and goes nowhere.
 */
export async function sortOut(ctx: Context, unsettled: readonly Unsettled[]): Promise<Sorted> {
  const alone = new Map<string, Unsettled>();
  const owners = new Map<string, Unsettled>();
  const waited: Waited[] = [];
  const sorting: Sorting = {
    ownersOf: ownersAmong(ctx, unsettled),
    waited: (one) => waited.push(one),
    alone: (one) => alone.set(one.segments.join("/"), one),
    lookAt: (one) => {
      const path = one.segments.join("/");
      // The one that came itself knows its upload.
      if (one.uploadId !== undefined || !owners.has(path)) owners.set(path, one);
    },
  };
  await pMap(unsettled, (one) => place(ctx, one, sorting), { concurrency: PARALLEL });
  const whole: WholeChanges[] = [];
  await pMap(
    owners.values(),
    async (owner) => {
      const found = await lookAtParts(ctx, owner, sorting);
      if (found) whole.push(found);
    },
    { concurrency: PARALLEL },
  );
  return { alone: [...alone.values()], whole, waited };
}

/** To be called when all that was sorted out is settled: until then whoever comes again finds what it belongs to. */
export async function forgetWaited(ctx: Context, waited: readonly Waited[]): Promise<void> {
  await pMap(waited, ({ owner, parts }) => forgetParts(ctx, owner, parts), { concurrency: PARALLEL });
}

type Sorting = {
  readonly ownersOf: FindOwners;
  readonly alone: (one: Unsettled) => void;
  readonly lookAt: (owner: Unsettled) => void;
  readonly waited: (one: Waited) => void;
};

async function place(ctx: Context, one: Unsettled, sorting: Sorting): Promise<void> {
  const { alone, lookAt, ownersOf } = sorting;
  const { stored } = one;
  if (stored.format === "changes") return lookAt(one);
  // Neither a .dsc nor a .changes has an rpm in it.
  if (stored.format === "rpm") return alone(one);
  const owners = await ownersOf(one.segments);
  for (const owner of owners) if (!owner.stored.settled) lookAt(owner);
  if (stored.problem !== undefined || isDecided(stored)) return alone(one);
  const changes = owners.find((owner) => owner.stored.format === "changes");
  const name = stored.changes ?? changes?.segments.at(-1);
  if (name !== undefined) return goWith(ctx, one, name, sorting);
  if (stored.format === "dsc") lookAt(one);
  else alone(one);
}

/** What goes in with a .changes goes nowhere else, until that one is in. */
async function goWith(ctx: Context, one: Unsettled, name: string, { alone, lookAt }: Sorting): Promise<void> {
  const refuse = async (problem: string) => {
    const refused = await decide(ctx, one, { parts: "refused", problem });
    if (refused) alone(refused);
  };
  const changes = await findChanges(ctx, one.segments, name);
  if (!changes) {
    if (waitLeftOf(ctx, one.stored) <= 0) return refuse(`${name}, which it was to go in with, never came`);
    return keepWaiting(ctx, one, name);
  }
  const { stored } = changes;
  if (stored.format !== "changes") return refuse(`${name}: ${stored.problem ?? "it is no .changes"}`);
  if (stored.parts === "refused") return refuse(`${name} was refused: ${stored.problem}`);
  if (!stored.settled) {
    lookAt(changes);
    return keepWaiting(ctx, one, name);
  }
  const { parts } = await gather(ctx, changes.segments, stored);
  const file = parts.find((part) => part.name === one.segments.at(-1));
  if (!file) return refuse(`${name} does not name it`);
  if (file.sha256 !== one.stored.sha256) return refuse(`${name} is in, with SHA-256 ${file.sha256} for it`);
  alone(one);
}

async function findChanges(ctx: Context, segments: readonly string[], name: string): Promise<Unsettled | undefined> {
  const found = await findBeside(ctx, segments, [{ name }], (_, { stored }) => stored?.format === "changes");
  const best = found.get(name)?.find(({ binary }) => binary.stored);
  return best?.binary.stored && { segments: best.segments, stored: best.binary.stored };
}

/** Answers with a .changes that is whole; a .dsc that is goes on by itself, if no .changes has it. */
async function lookAtParts(ctx: Context, owner: Unsettled, sorting: Sorting): Promise<WholeChanges | undefined> {
  const isChanges = owner.stored.format === "changes";
  if (owner.stored.changes !== undefined && !isChanges) return undefined;
  const gathered = await gatherNoted(ctx, owner);
  const wrong = isDecided(owner.stored) ? undefined : faultOf(ctx, owner, gathered);
  if (wrong === "wait") {
    if (isChanges) await holdBack(ctx, owner, gathered);
    await keepWaiting(ctx, owner);
    return undefined;
  }
  const decided = await decide(ctx, owner, wrong ? { parts: "refused", problem: wrong.problem } : { parts: "here" });
  if (!decided) return undefined;
  const isWhole = decided.stored.parts === "here";
  // A refused .changes still holds back what it names: it did not go in, and so not one by one.
  const hasWaited = gathered.isNoted || owner.stored.parts === "waiting";
  if (hasWaited && (isWhole || !isChanges)) sorting.waited({ owner: decided, parts: gathered.parts });
  // Where another one saw it whole, this one may have looked before the last part came.
  if (isChanges && isWhole) return { changes: decided, gathered: wrong ? await gatherOf(ctx, decided) : gathered };
  if (isChanges) await refuseMembers(ctx, decided, gathered, sorting);
  sorting.alone(decided);
  return undefined;
}

function gatherOf(ctx: Context, { segments, stored }: Unsettled): Promise<Gathered> {
  return gather(ctx, segments, stored);
}

/** Notes what a .dsc or .changes waits for before it is looked for once more, so that nothing slips through in between. */
async function gatherNoted(ctx: Context, owner: Unsettled): Promise<Gathered & { readonly isNoted: boolean }> {
  const name = owner.segments.at(-1);
  const noted = new Set<string>();
  for (;;) {
    const gathered = await gatherOf(ctx, owner);
    const isWhole = gathered.missing.length === 0 && gathered.wrong === undefined;
    if (isWhole || isDecided(owner.stored)) return { ...gathered, isNoted: noted.size > 0 };
    const known = owner.stored.parts === "waiting" ? gathered.parts.filter(({ by }) => by === name) : [];
    for (const part of known) noted.add(part.name);
    const fresh = gathered.parts.filter((part) => !noted.has(part.name));
    if (fresh.length === 0) return { ...gathered, isNoted: noted.size > 0 };
    await noteParts(ctx, owner, fresh);
    for (const part of fresh) noted.add(part.name);
  }
}

function faultOf(
  ctx: Context,
  { stored }: Unsettled,
  { wrong, missing }: Gathered,
): { readonly problem: string } | "wait" | undefined {
  if (wrong !== undefined) return { problem: wrong };
  if (missing.length === 0) return undefined;
  return waitLeftOf(ctx, stored) > 0 ? "wait" : { problem: `${shortened(missing)} never came` };
}

/** What came before a .changes and still waits for parts of its own goes in with it. */
async function holdBack(ctx: Context, { segments }: Unsettled, { here }: Gathered): Promise<void> {
  for (const { segments: path, binary } of here.values()) {
    const { stored } = binary;
    const isFree = stored?.parts === "waiting" && stored.changes === undefined;
    if (isFree) await keepWaiting(ctx, { segments: path, stored }, segments.at(-1));
  }
}

async function refuseMembers(
  ctx: Context,
  { segments, stored }: Unsettled,
  gathered: Gathered,
  { alone }: Sorting,
): Promise<void> {
  const name = segments.at(-1);
  const problem = `${name} was refused: ${stored.problem}`;
  await pMap(
    membersOf(gathered, name),
    async (member) => {
      const refused = await decide(ctx, member, { parts: "refused", problem });
      if (refused) alone(refused);
    },
    { concurrency: PARALLEL },
  );
}

/** What waits for a .changes to go in with it. */
function membersOf({ named }: Gathered, name: string | undefined): Unsettled[] {
  return named.flatMap(({ segments, binary: { stored } }) =>
    stored?.changes === name && stored && !stored.settled ? [{ segments, stored }] : [],
  );
}
