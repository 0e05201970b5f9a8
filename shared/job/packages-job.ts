import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { ON_CONFLICT } from "../repo/merge.ts";
import { REPO_TYPES, type Repo } from "../repo/repo.ts";
import { keys } from "../store/keys.ts";
import { JOB_ID } from "./sync-job.ts";

const PackagesJobItem = z.object({
  kind: z.literal("packages"),
  id: z.string(),
  repo: z.object({ id: z.string(), type: z.enum(REPO_TYPES), name: z.string() }),
  /** The map that the repo's set is to be; else what it is to be merged from. */
  map: z.custom<Sha256>((value) => typeof value === "string").optional(),
  merge: z
    .object({
      /** All of the repo's type. */
      sources: z.array(z.object({ id: z.string(), kind: z.enum(["repo", "upstream"]), name: z.string() })),
      onConflict: z.enum(ON_CONFLICT),
    })
    .optional(),
  by: z.string(),
  force: z.boolean(),
  /** Made on this head or not at all. */
  onlyOn: z.number().int().optional(),
  /** The head when it was asked for: its own commit is behind that one. */
  since: z.number().int(),
  state: z.enum(["queued", "working", "done", "failed"]),
  phase: z.enum(["queued", "map", "merge", "commit", "end"]),
  packages: z.object({ done: z.number().int(), total: z.number().int() }),
  /** What a request would have been refused with. */
  error: z.object({ message: z.string(), details: z.record(z.string(), z.unknown()) }).optional(),
  commit: z.number().int().optional(),
  startedAt: z.string(),
  updatedAt: z.string(),
});

/** The record of a change of a repo's set that is too large for a request. */
export type PackagesJob = z.infer<typeof PackagesJobItem>;

export type PackagesJobTerms = Pick<PackagesJob, "by" | "force" | "onlyOn" | "since"> &
  ({ readonly map: Sha256 } | { readonly merge: NonNullable<PackagesJob["merge"]> });

/** Writes the job down, then has it begun: whoever dies between leaves a job that nobody was told of. */
export async function startPackagesJob(
  ctx: Context,
  { id: repoId, type, name }: Pick<Repo, "id" | "type" | "name">,
  terms: PackagesJobTerms,
): Promise<PackagesJob> {
  const at = ctx.now().toISOString();
  const job: PackagesJob = {
    kind: "packages",
    id: randomUUID(),
    repo: { id: repoId, type, name },
    ...terms,
    state: "queued",
    phase: "queued",
    packages: { done: 0, total: 0 },
    startedAt: at,
    updatedAt: at,
  };
  await ctx.table.put({ ...keys.job(job.id), ...job });
  await ctx.queues.worker({ kind: "packages", job: job.id });
  return job;
}

export async function findPackagesJob(ctx: Context, id: string): Promise<PackagesJob | undefined> {
  if (!JOB_ID.test(id)) return undefined;
  const item = await ctx.table.get(keys.job(id));
  return item?.kind === "packages" ? PackagesJobItem.parse(item) : undefined;
}

export function hasEndedPackages({ state }: Pick<PackagesJob, "state">): boolean {
  return state === "done" || state === "failed";
}

type Told = Partial<Pick<PackagesJob, "state" | "phase" | "packages" | "error" | "commit">>;

/** Tells how far it is. One that has ended stays as it is, whoever comes late; a commit that was made outdoes a failure. */
export async function tellPackagesJob(ctx: Context, job: PackagesJob, told: Told): Promise<void> {
  const set = { ...told, updatedAt: ctx.now().toISOString() };
  const states = told.state === "done" ? (["queued", "working", "failed"] as const) : (["queued", "working"] as const);
  for (const state of states) {
    if (await ctx.table.update(keys.job(job.id), { set }, { equals: { state } })) return;
  }
}
