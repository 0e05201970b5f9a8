import { findUnsettled, type Unsettled } from "../../shared/binary/ingest.ts";
import { findBinary, type StoredBinary, writeBinary } from "../../shared/binary/node.ts";
import { settle } from "../../shared/binary/settle.ts";
import { findWaiting } from "../../shared/binary/waiting.ts";
import { rangesOf, sha256Of } from "../../shared/blob.ts";
import { commitAt, headOf } from "../../shared/commit.ts";
import { AppError } from "../../shared/error.ts";
import { findUploadJob, uploadJobId } from "../../shared/job/upload-job.ts";
import { parsePackage, putPackage } from "../../shared/package.ts";
import type { RepoRef } from "../../shared/repo/repo.ts";
import { readRows } from "../../shared/tree/leaf.ts";
import { readTree } from "../../shared/tree/root.ts";
import type { MemoryContext } from "./memory-context.ts";
import { repoOf } from "./memory-repos.ts";
import type { NamedBytes } from "./sources.ts";

export const LEVEL = ["hello", "debian", "bookworm", "amd64"] as const;

const pathOf = ({ name }: Pick<NamedBytes, "name">) => [...LEVEL, name];

/** Stores bytes as an upload that was taken in does, up to what follows for others. */
export async function store(ctx: MemoryContext, file: NamedBytes, changes?: string): Promise<void> {
  const sha256 = await ctx.blobs.putBlob(file.bytes);
  const told = { sha256, sizeBytes: file.bytes.length };
  const segments = pathOf(file);
  const uploadId = sha256Of(`${file.name} ${sha256}`).slice(0, 32);
  let stored: Pick<StoredBinary, "format" | "signed" | "problem">;
  try {
    const parsed = await parsePackage(rangesOf(file.bytes), file.name);
    const where = { ...told, filename: file.name, heldBy: segments.join("/") };
    stored = await putPackage(ctx, parsed, where);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    stored = { format: "unreadable", signed: false, problem: error.message };
  }
  const { format, signed, problem } = stored;
  await writeBinary(ctx, segments, await findBinary(ctx, segments), {
    stored: {
      ...told,
      ...{ format, signed },
      ...(problem === undefined ? {} : { problem }),
      ...(changes === undefined ? {} : { changes }),
      job: uploadJobId(uploadId, segments.join("/")),
      replace: false,
      settled: false,
      at: ctx.now().toISOString(),
    },
  });
}

/** What its message leads to, as often as it comes; `wait`: the one that looks now and then. */
export async function deliver(ctx: MemoryContext, file: NamedBytes, kind: "settle" | "wait" = "settle"): Promise<void> {
  const look = kind === "wait" ? findWaiting : findUnsettled;
  const found: Unsettled | undefined = await look(ctx, pathOf(file).join("/"));
  if (found) await settle(ctx, [found]);
}

/** How the job of a file ended; undefined while it has not. */
export async function outcomeOf(ctx: MemoryContext, file: NamedBytes) {
  const stored = (await findBinary(ctx, pathOf(file)))?.stored;
  return stored && findUploadJob(ctx, stored.job);
}

/** Of each commit of a repo the names of the files that its packages are listed by, sorted. */
export async function historyOf(ctx: MemoryContext, ref: RepoRef): Promise<string[][]> {
  const repo = await repoOf(ctx, ref);
  const { number } = await headOf(ctx, repo);
  const history: string[][] = [];
  for (let at = 0; at <= number; at += 1) {
    const commit = await commitAt(ctx, repo.id, at);
    const tree = commit && (await readTree(ctx.objects, commit.tree));
    const rows = await Promise.all((tree?.leaves ?? []).map((leaf) => readRows(ctx.objects, leaf)));
    history.push(
      rows
        .flat()
        .map(({ files }) => files[0]?.name ?? "")
        .sort(),
    );
  }
  return history;
}
