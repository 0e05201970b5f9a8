import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { z } from "zod";
import { parseSha256 } from "../../shared/blob.ts";
import { commitTree } from "../../shared/commit.ts";
import type { Context } from "../../shared/context.ts";
import { publishRepo } from "../../shared/publication/publish.ts";
import { announce } from "../../shared/repo/announce.ts";
import { findRepo } from "../../shared/repo/repo.ts";
import { compareKeys } from "../../shared/tree/entry.ts";
import { everything, rowsByHash } from "../../shared/tree/hashes.ts";
import { groupOf } from "../../shared/tree/layout.ts";
import { writeTree } from "../../shared/tree/write.ts";
import { entriesOf, Listed } from "./entries.ts";
import { type Generated, generatedTree } from "./generated.ts";
import { stateOf } from "./state.ts";
import { takeCounts, takeSpans } from "./trace.ts";

const Type = z.enum(["apt", "yum"]);
const Wanted = z.object({ type: Type, packages: z.union([Listed, z.object({ generated: z.number().int() })]) });
const hex = z.string().transform(parseSha256);
const Holding = z.object({
  type: Type,
  name: z.string(),
  holding: z.object({ tree: hex, hashes: hex, count: z.number() }),
});
const Ref = z.object({ type: Type, name: z.string() });
const Profile = z.object({ file: z.string().optional() });

let session: Session | undefined;

/** What the parent may ask for. Trees are set up through the domain, without sixty thousand uploads. */
export const ACTIONS: Readonly<Record<string, (ctx: Context, given: unknown) => Promise<unknown>>> = {
  /** Writes a tree to which nothing refers yet. */
  async tree(ctx, given) {
    const { type, packages } = Wanted.parse(given);
    const { entries, hashes: rows } =
      "generated" in packages ? await generatedTree(type, packages.generated) : await listedTree(type, packages);
    const start = performance.now();
    const tree = await writeTree(ctx.objects, entries(), groupOf(type));
    const hashes = await writeTree(ctx.objects, rows(), everything);
    const seconds = (performance.now() - start) / 1000;
    return { type, holding: { tree: tree.root, hashes: hashes.root, count: tree.count }, seconds };
  },

  /** Makes a tree a repo's head; what follows from a commit follows. */
  async commit(ctx, given) {
    const { type, name, holding } = Holding.parse(given);
    const repo = await findRepo(ctx, { type, name });
    if (!repo) throw new Error(`no ${type} repo ${name}`);
    const commit = await commitTree(ctx, repo, holding, { by: "bench", message: "set up" });
    await announce(ctx, repo, commit);
  },

  /** A publication's run, in this process; how long it took and what it wrote. */
  async publish(ctx, given) {
    const ref = Ref.parse(given);
    takeSpans();
    const start = performance.now();
    await publishRepo(ctx, ref);
    const seconds = (performance.now() - start) / 1000;
    const spans = takeSpans();
    const writes = spans.filter(({ name }) => /\.(?:put|update|delete)/.test(name)).length;
    return { seconds, requests: spans.length, writes };
  },

  state: stateOf,

  async counts() {
    return takeCounts();
  },

  async spans() {
    return takeSpans();
  },

  /** Begins a CPU profile; with a file, ends it, and tells how many µs the clock of its times is ahead of that of spans. */
  async profile(_ctx, given) {
    const { file } = Profile.parse(given);
    if (session === undefined) {
      session = new Session();
      session.connect();
      await session.post("Profiler.enable");
      await session.post("Profiler.setSamplingInterval", { interval: 500 });
      await session.post("Profiler.start");
      return undefined;
    }
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    session = undefined;
    if (file !== undefined) writeFileSync(file, JSON.stringify(profile));
    return Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;
  },

  /** Seconds of CPU that the process has used, all threads. */
  async cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
};

async function listedTree(type: "apt" | "yum", listed: Listed): Promise<Generated> {
  const entries = (await entriesOf(type, listed)).sort((a, b) => compareKeys(a.key, b.key));
  return {
    async *entries() {
      yield* entries;
    },
    async *hashes() {
      yield* entries.flatMap(rowsByHash).sort((a, b) => compareKeys(a.key, b.key));
    },
  };
}
