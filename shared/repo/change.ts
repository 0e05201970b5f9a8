import type { Sha256 } from "../blob.ts";
import {
  type Chain,
  type Commit,
  type CommitTerms,
  commitAt,
  commitDelta,
  commitTree,
  headOf,
  listCommits,
} from "../commit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import type { Delta } from "../tree/edit.ts";
import type { Entry } from "../tree/entry.ts";
import { inTurn } from "../turns.ts";
import { announce } from "./announce.ts";
import { rowsByHash, rowsOf } from "./held.ts";
import type { Repo } from "./repo.ts";
import { resolveWanted, type WantedPackage } from "./wanted.ts";

export type ChangeTerms = Omit<CommitTerms, "message"> & {
  /** May put other bytes under a key that the repo holds. */
  readonly force?: boolean | undefined;
  /** Of a change that is made in the background, once however often it is begun. */
  readonly job?: ChangeJob | undefined;
};

export type ChangeJob = {
  readonly id: string;
  /** The head when it was asked for. */
  readonly since: number;
  readonly hasEnded: () => Promise<boolean>;
};

/** Replaces the set of packages of a repo in one commit, or not at all. */
export async function setPackages(
  ctx: Context,
  repo: Repo,
  wanted: readonly WantedPackage[],
  terms: ChangeTerms,
): Promise<Commit> {
  return changed(ctx, repo, terms, `set ${wanted.length} packages`, async (head) => {
    const held = await rowsByHash(ctx, repo, head);
    const { keep, put } = await resolveWanted(ctx, repo, held, wanted);
    const remove = [...held.values()].flat().flatMap(({ key }) => (keep.has(key) ? [] : [key]));
    // What takes the place of a row that goes is no conflict.
    const leaving = new Set(remove);
    return { put: put.map((entry) => ({ entry, replace: terms.force === true || leaving.has(entry.key) })), remove };
  });
}

/** Adds packages and removes others in one commit, leaving the rest as it is. */
export async function patchPackages(
  ctx: Context,
  repo: Repo,
  { add, remove }: { add: readonly WantedPackage[]; remove: readonly Sha256[] },
  terms: ChangeTerms,
): Promise<Commit> {
  const message = `add ${add.length} and remove ${remove.length} packages`;
  return changed(ctx, repo, terms, message, async (head) => {
    const held = await rowsOf(ctx, repo, head, [...add.map(({ sha256 }) => sha256), ...remove]);
    const { put, keep } = await resolveWanted(ctx, repo, held, add);
    const leaving = remove.flatMap((sha256) => held.get(sha256)?.map(({ key }) => key) ?? []);
    const unknown = remove.filter((sha256) => (held.get(sha256)?.length ?? 0) === 0);
    if (unknown.length > 0) {
      throw new AppError("unprocessable", `${unknown.length} of the packages to remove are not in repo ${repo.name}`, {
        unknown: unknown.slice(0, 100),
      });
    }
    const free = new Set(leaving);
    return {
      put: put.map((entry) => ({ entry, replace: terms.force === true || free.has(entry.key) })),
      remove: leaving,
      // What is added by hand stays, whatever becomes of the binary that it came from first.
      own: [...keep],
    };
  });
}

async function changed(
  ctx: Context,
  repo: Repo,
  { by, onlyOn, job }: ChangeTerms,
  what: string,
  delta: (head: Commit) => Promise<Delta>,
): Promise<Commit> {
  const message = messageOf(what, job);
  let made: Commit | undefined;
  const whole = async (head: Commit) => {
    made = job && head.number > job.since ? await commitOfJob(ctx, repo, job) : undefined;
    // After the head was read: what another run of the job ended with stood before any change that we might undo.
    if (made || (await job?.hasEnded())) return NOTHING;
    const wanted = await delta(head);
    refuseTwins(wanted.put.map(({ entry }) => entry));
    return wanted;
  };
  try {
    const terms = { by, message, onlyOn, wholly: true };
    const { commit, refused } = await inTurn(ctx, repo.id, () => commitDelta(ctx, repo, whole, terms));
    if (refused.length > 0) throw new Error("a change that must land wholly was committed in part");
    made ??= commit;
  } catch (error) {
    // The job's own commit may be what moved the head that it was to be made on.
    made = error instanceof AppError && job ? await commitOfJob(ctx, repo, job) : undefined;
    if (!made) throw error;
  }
  await announce(ctx, repo, made);
  return made;
}

const NOTHING: Delta = { put: [], remove: [] };

const OF_JOB = ", job ";

export function messageOf(what: string, job: Pick<ChangeJob, "id"> | undefined): string {
  return job ? `${what}${OF_JOB}${job.id}` : what;
}

export function isCommitOf({ id }: Pick<ChangeJob, "id">, { message }: Pick<Commit, "message">): boolean {
  return message.endsWith(`${OF_JOB}${id}`);
}

/** The commit that a job has made already. It is told by its message, and is not older than the job. */
export async function commitOfJob(ctx: Context, repo: Pick<Repo, "id">, job: ChangeJob): Promise<Commit | undefined> {
  let before: number | undefined;
  do {
    const { commits, next } = await listCommits(ctx, repo.id, before);
    const found = commits.find((commit) => commit.number > job.since && isCommitOf(job, commit));
    if (found || commits.some(({ number }) => number <= job.since)) return found;
    before = next;
  } while (before !== undefined);
  return undefined;
}

/** Of two packages with one name, version and architecture a set can hold one. */
function refuseTwins(entries: readonly Entry[]): void {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    const other = seen.get(entry.key);
    if (other && other.files[0]?.sha256 !== entry.files[0]?.sha256) {
      throw new AppError(
        "unprocessable",
        `${entry.files[0]?.sha256} and ${other.files[0]?.sha256} are both ${decodeURIComponent(entry.key)}: a repo holds one`,
      );
    }
    seen.set(entry.key, entry);
  }
}

/** Makes an earlier commit's tree the newest: a new commit, with a later date, so that clients take it. */
export async function rollBack(ctx: Context, repo: Repo, number: number, by: string): Promise<Commit> {
  const earlier = await commitAt(ctx, repo.id, number);
  if (!earlier) throw new AppError("not_found", `repo ${repo.name} has no commit ${number}`);
  // What comes back is wanted, whatever has become of the binary that gave it.
  const commit = await commitTree(ctx, repo, earlier, { by, message: `roll back to commit ${number}`, givers: "kept" });
  await announce(ctx, repo, commit);
  return commit;
}

/** Takes over another chain's head, whatever its size: one write. */
export async function takeOver(
  ctx: Context,
  repo: Repo,
  source: Pick<Chain, "id" | "createdBy" | "name">,
  { by, onlyOn }: ChangeTerms,
): Promise<Commit> {
  const theirs = await headOf(ctx, source);
  const commit = await commitTree(ctx, repo, theirs, {
    by,
    onlyOn,
    message: `take over ${source.name}@${theirs.number}`,
  });
  await announce(ctx, repo, commit);
  return commit;
}
