import { readFileSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { z } from "zod";
import { commitTree } from "../../shared/commit.ts";
import type { Context } from "../../shared/context.ts";
import { announce } from "../../shared/repo/announce.ts";
import { findRepo } from "../../shared/repo/repo.ts";
import { compareKeys, type Entry } from "../../shared/tree/entry.ts";
import { everything, rowsByHash } from "../../shared/tree/hashes.ts";
import { groupOf } from "../../shared/tree/layout.ts";
import { writeTree } from "../../shared/tree/write.ts";
import { entriesOf, Listed } from "./entries.ts";
import { takeSpans } from "./trace.ts";

const Commit = z.object({
  type: z.enum(["apt", "yum"]),
  name: z.string(),
  packages: Listed,
  /** Whether what follows from a commit follows: its publication. */
  announced: z.boolean(),
});
const Profile = z.object({ file: z.string().optional() });

let session: Session | undefined;

/** What the parent may ask for. Trees are set up through the domain, without sixty thousand uploads. */
export const ACTIONS: Readonly<Record<string, (ctx: Context, given: unknown) => Promise<unknown>>> = {
  async commit(ctx, given) {
    const { type, name, packages, announced } = Commit.parse(given);
    const repo = await findRepo(ctx, { type, name });
    if (!repo) throw new Error(`no ${type} repo ${name}`);
    const entries = (await entriesOf(type, packages)).sort((a, b) => compareKeys(a.key, b.key));
    const start = performance.now();
    const tree = await writeTree(ctx.objects, each(entries), groupOf(type));
    const rows = entries.flatMap(rowsByHash).sort((a, b) => compareKeys(a.key, b.key));
    const hashes = await writeTree(ctx.objects, each(rows), everything);
    const holding = { tree: tree.root, hashes: hashes.root, count: tree.count };
    const commit = await commitTree(ctx, repo, holding, { by: "bench", message: "set up" });
    const seconds = (performance.now() - start) / 1000;
    if (announced) await announce(ctx, repo, commit);
    return { commit: commit.number, count: tree.count, seconds };
  },

  async spans() {
    return takeSpans();
  },

  /** Begins a CPU profile; with a file, ends it. */
  async profile(_ctx, given) {
    const { file } = Profile.parse(given);
    if (session === undefined) {
      session = new Session();
      session.connect();
      await session.post("Profiler.enable");
      await session.post("Profiler.setSamplingInterval", { interval: 500 });
      await session.post("Profiler.start");
      return;
    }
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    session = undefined;
    if (file !== undefined) writeFileSync(file, JSON.stringify(profile));
  },

  /** The most memory the process has held, in MB; with `forget`, counted anew from here on. */
  async memory(_ctx, given) {
    const status = readFileSync("/proc/self/status", "utf8");
    const peak = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024;
    if (z.object({ forget: z.boolean() }).safeParse(given).data?.forget) writeFileSync("/proc/self/clear_refs", "5");
    return peak;
  },
};

async function* each(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}
