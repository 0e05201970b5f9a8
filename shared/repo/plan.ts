import type { Context } from "../context.ts";
import { scheduleName } from "../schedule/eventbridge.ts";
import type { Repo, RepoRef } from "./repo.ts";

/** A publication is renewed at half of its time, and looked at so often in that time: a look that is lost does no harm. */
const LOOKS_IN_VALIDITY = 8;
/** So far ahead a message itself waits, to the second; a queue keeps none longer. */
const MOST_WAIT_SECONDS = 900;
/** Clocks that differ by less do not make a look too early. */
const BEHIND_MS = 1000;

/** Whether clients take a publication of it for some time only. Valid-Until is apt's; no other client knows of such a time. */
export function expires(repo: Pick<Repo, "type" | "validFor">): repo is { type: "apt"; validFor: number } {
  return repo.type === "apt" && repo.validFor !== null;
}

/** Whether anything of it must be signed anew when some time has passed. */
export function isResigned(repo: Repo): boolean {
  return expires(repo) || repo.signing.some(({ until }) => until !== null);
}

/**
 * Has `resign` look at a repo when a key of it is over, and often enough while its publications expire. Schedules of things that
 * are no more end with their next look. Safe to repeat.
 */
export async function planResigning(ctx: Context, repo: Repo): Promise<void> {
  const message = { kind: "resign", type: repo.type, name: repo.name } as const;
  if (expires(repo)) await ctx.schedules.put(validityName(repo), { expression: rateOf(repo.validFor), message });
  const [next] = repo.signing.flatMap(({ until }) => until ?? []).sort();
  if (next === undefined) return;
  const atMs = Date.parse(next) + BEHIND_MS;
  const waitSeconds = Math.ceil((atMs - ctx.now().getTime()) / 1000);
  if (waitSeconds <= MOST_WAIT_SECONDS) await ctx.queues.worker(message, waitSeconds);
  else await ctx.schedules.put(rotationName(repo), { expression: atOf(atMs), message });
}

/** Ends the schedules that nothing needs any more; all of them for a repo that is gone. */
export async function forgetPlans(ctx: Context, ref: RepoRef, repo?: Repo): Promise<void> {
  if (!repo || !expires(repo)) await ctx.schedules.delete(validityName(ref));
  if (!repo?.signing.some(({ until }) => until !== null)) await ctx.schedules.delete(rotationName(ref));
}

function validityName({ type, name }: RepoRef): string {
  return scheduleName("validity", type, name);
}

function rotationName({ type, name }: RepoRef): string {
  return scheduleName("rotation", type, name);
}

/** In whole minutes, hours or days, whichever comes nearest from below. */
function rateOf(validSeconds: number): string {
  const minutes = Math.max(5, Math.floor(validSeconds / LOOKS_IN_VALIDITY / 60));
  if (minutes >= 2 * 1440) return `rate(${Math.floor(minutes / 1440)} days)`;
  if (minutes >= 2 * 60) return `rate(${Math.floor(minutes / 60)} hours)`;
  return `rate(${minutes} minutes)`;
}

function atOf(ms: number): string {
  return `at(${new Date(Math.ceil(ms / 1000) * 1000).toISOString().slice(0, 19)})`;
}
