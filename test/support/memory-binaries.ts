import { findUnsettled, type Unsettled } from "../../shared/binary/ingest.ts";
import { leaveRepos } from "../../shared/binary/leave.ts";
import { lookForUpload } from "../../shared/binary/look.ts";
import { ancestorsOf, findBinary, touchLevel, writeBinary } from "../../shared/binary/node.ts";
import { continueRemoval } from "../../shared/binary/remove.ts";
import { settle } from "../../shared/binary/settle.ts";
import { sha256Of } from "../../shared/blob.ts";
import { headOf } from "../../shared/commit.ts";
import { uploadJobId } from "../../shared/job/upload-job.ts";
import { putPackage } from "../../shared/package.ts";
import { createRepo, findRepo } from "../../shared/repo/repo.ts";
import { keys } from "../../shared/store/keys.ts";
import { readRows } from "../../shared/tree/leaf.ts";
import { readTree } from "../../shared/tree/root.ts";
import type { MemoryContext } from "./memory-context.ts";
import { repoInMemory } from "./memory-repos.ts";

export const FOLDER = "lab/debian/bookworm/amd64";
export const pathOf = (name: string) => `${FOLDER}/${name}`;
const REPOS = [
  { type: "apt", name: "tools" },
  { type: "dir", name: "files" },
] as const;

/** Two repos, of which one takes packages of one name and the other everything. */
export async function binariesInMemory(): Promise<MemoryContext> {
  const { ctx } = await repoInMemory("apt", { accepts: [{ path: "lab/**" }] });
  await createRepo(ctx, { type: "dir", name: "files" }, { accepts: [{ path: "**" }] }, "somebody");
  ctx.sent.length = 0;
  return ctx;
}

let uploads = 0;

/** The bytes of a package arrive under a path: its leaf names them, and its repos are to be told. */
export async function arrive(ctx: MemoryContext, path: string, version: string): Promise<Unsettled | undefined> {
  const segments = path.split("/");
  const sha256 = sha256Of(version);
  const control: [string, string][] = [
    ["Package", "lab"],
    ["Version", version],
    ["Architecture", "amd64"],
  ];
  const fields = { name: "lab", version, architecture: "amd64", control, signed: false };
  const filename = segments.at(-1) ?? "";
  const file = { sha256, sizeBytes: version.length, filename, heldBy: path };
  const parsed = { format: "deb" as const, ...fields };
  const pkg = await putPackage(ctx, parsed, file);
  const before = await findBinary(ctx, segments);
  uploads += 1;
  ctx.clock.ms += 1;
  const at = ctx.now().toISOString();
  for (const level of ancestorsOf(segments)) await touchLevel(ctx, level, at);
  const stored = {
    ...{ sha256, sizeBytes: version.length, signed: false, format: "deb" as const, replace: true, settled: false, at },
    job: uploadJobId(String(uploads).padStart(32, "0"), path),
    ...(before?.stored ? { replaces: true } : {}),
  };
  if (before?.stored) await ctx.queues.worker({ kind: "leave", path }, 900);
  await ctx.queues.ingest({ kind: "settle", path });
  const leaf = await writeBinary(ctx, segments, before, { stored });
  return leaf && { segments, stored, leaf, known: { pkg, parsed } };
}

export async function upload(ctx: MemoryContext, path: string, version: string): Promise<void> {
  const unsettled = await arrive(ctx, path, version);
  if (unsettled) await settle(ctx, [unsettled]);
}

/** Sent again and again while it waits. */
const RECURRENT = "look";

type Message = { readonly kind?: string; readonly path?: string; readonly at?: string };

/** Sees to messages, and to those that come of them. */
export async function drain(ctx: MemoryContext, messages: readonly unknown[] = []): Promise<void> {
  ctx.sent.unshift(...messages);
  for (;;) {
    const [message] = ctx.sent;
    if (message === undefined) return;
    await work(ctx, message as Message);
    for (const one of ctx.sent.splice(1)) if ((one as Message).kind !== RECURRENT) ctx.sent.push(one);
    // Not before it is done with.
    ctx.sent.splice(ctx.sent.indexOf(message), 1);
  }
}

async function work(ctx: MemoryContext, { kind, path = "", at = "" }: Message): Promise<void> {
  if (kind === "settle" || kind === "look") {
    const found = await (kind === "look" ? lookForUpload : findUnsettled)(ctx, path);
    if (found) await settle(ctx, [found]);
  } else if (kind === "leave" || (kind === "remove" && (await continueRemoval(ctx, path, at)))) {
    const changed = await leaveRepos(ctx, path);
    if (changed.length > 0) await settle(ctx, changed);
  }
}

/** What lies in the tree of binaries, and what the repos hold: versions by file name, and versions. */
export async function stateOf(ctx: MemoryContext) {
  const nodes = [...ctx.table.items.values()].filter(({ pk }) => pk.startsWith("level#"));
  const binaries = nodes.flatMap(({ pk, sk, kind }) =>
    kind === "binary" ? [`${pk.slice("level#".length)}/${sk}`] : [],
  );
  const stored = await Promise.all(
    binaries.map(async (path) => [path, (await findBinary(ctx, path.split("/")))?.stored?.sha256] as const),
  );
  const held = await Promise.all(REPOS.map((ref) => rowsOf(ctx, ref)));
  return {
    stored: Object.fromEntries(stored.sort()),
    held: Object.fromEntries(REPOS.map(({ name }, index) => [name, held[index]])),
    levels: nodes
      .flatMap(({ pk, sk, kind }) => (kind === "level" ? [`${pk.slice("level#".length)}/${sk}`] : []))
      .sort(),
  };
}

/** Of each row its file and hash. */
async function rowsOf(ctx: MemoryContext, ref: (typeof REPOS)[number]) {
  const { tree } = await headOf(ctx, await repoOf(ctx, ref));
  const { leaves } = await readTree(ctx.objects, tree);
  const rows = (await Promise.all(leaves.map((leaf) => readRows(ctx.objects, leaf)))).flat();
  return rows.map(({ files: [file] }) => file?.sha256).sort();
}

async function repoOf(ctx: MemoryContext, ref: (typeof REPOS)[number]) {
  const repo = await findRepo(ctx, ref);
  if (!repo) throw new Error(`no repo ${ref.name}`);
  return repo;
}

export async function commitsOf(ctx: MemoryContext): Promise<number[]> {
  return Promise.all(REPOS.map(async (ref) => (await headOf(ctx, await repoOf(ctx, ref))).number));
}

/** Every repo holds what lies in the tree of binaries, and nothing else. */
export async function isTrue(ctx: MemoryContext): Promise<boolean> {
  const { stored, held, levels } = await stateOf(ctx);
  const wanted = [...new Set(Object.values(stored))].sort();
  const files = [...new Set(held.files)];
  const above = Object.keys(stored).flatMap((path) =>
    ancestorsOf(path.split("/")).map((level) => [level.slice(0, -1).join("/"), level.at(-1)].join("/")),
  );
  return (
    held.tools?.join() === wanted.join() &&
    files.sort().join() === wanted.join() &&
    above.every((level) => levels.includes(level))
  );
}

export const nodeKey = (path: string) => keys.node(path.split("/"));
