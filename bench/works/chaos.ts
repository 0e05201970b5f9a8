import { symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Bench, Row, Work } from "../bench.ts";
import { expectStanzas, readPublished } from "../check.ts";
import { endStateOf, expectFiles, expectSame } from "../check-state.ts";
import { readIndex, signRelease } from "../inputs/debs.ts";
import { sequence } from "../inputs/generate.ts";
import { openSite } from "../inputs/site.ts";
import { type BenchPackhouse, copyOf, startBench } from "../server/packhouse.ts";
import { RepoState, rest, secondsOf, until } from "../steps.ts";

const UPSTREAM = "debian";
/** Packages that are there before: a sync and a publication that only add would leave out much of the way. */
const BEFORE = 1_000;
/** Of files, so many: what may go wrong between two of them goes wrong between few as well. */
const MOST_COPIED = 5_000;
/** Of the lives that begin, these parts end before the server is there, or soon after the upstream's commit. */
const EARLY = 0.1;
const LATE = 0.4;
const LATE_MS = 700;
const START_MS = 1_500;

type Policy = "on_demand" | "immediate";
const Upstream = z.object({ state: z.string(), commit: z.number(), job: z.string() });

export const chaos: Work = {
  name: "chaos",
  what: "the server killed at random during a sync and its publication by a repo that follows; in the end all is as without",
  isQuick: false,
  async run(bench, size) {
    if (bench.files(size) !== size) return [];
    return [await survived(bench, size, "on_demand"), await survived(bench, Math.min(size, MOST_COPIED), "immediate")];
  },
};

async function survived(bench: Bench, size: number, policy: Policy): Promise<Row> {
  const random = sequence(bench.options.seed);
  console.log(`${policy}, ${size} packages: --seed ${bench.options.seed}`);
  const current = join(bench.folder("chaos"), "current");
  const offer = async (count: number) => {
    const folder = await bench.debs(count);
    signRelease(folder);
    unlinkSync(current);
    symlinkSync(folder, current);
  };
  symlinkSync("nothing", current);
  const site = await openSite(current);
  const rounds: number[] = [];
  let kills = 0;
  let peakMb = 0;
  let seed: BenchPackhouse | undefined;
  try {
    await offer(Math.min(BEFORE, Math.ceil(size / 2)));
    seed = await startBench();
    await followed(seed, site.url, policy);
    await offer(size);

    const calm = await startBench({ dataFolder: copyOf(seed.dataFolder) });
    const calmSeconds = await secondsOf(async () => {
      await sync(calm);
      await until(() => isSettled(calm, size), 20);
    });
    const expected = await endStateOf(calm, UPSTREAM, "bench");
    await calm.remove();
    console.log(`without kills: ${calmSeconds.toFixed(1)} s, ${expected.files.size} published files`);

    const again = { port: Number(new URL(calm.url).port) };
    while (kills < bench.options.kills) {
      const dataFolder = copyOf(seed.dataFolder);
      let packhouse = await startBench({ dataFolder, ...again });
      const start = performance.now();
      await sync(packhouse);
      let isOver = false;
      while (!isOver && kills < bench.options.kills) {
        isOver = await life(packhouse, size, random, calmSeconds * 1.2);
        peakMb = Math.max(peakMb, packhouse.peakMb());
        await packhouse.kill();
        kills += isOver ? 0 : 1;
        if (!isOver && kills < bench.options.kills && random() < EARLY) {
          await startBench({ dataFolder, ...again, killedAfterMs: random() * START_MS }).then(
            (early) => early.kill(),
            () => undefined,
          );
          kills += 1;
        }
        packhouse = await startBench({ dataFolder, ...again });
      }
      await until(() => isSettled(packhouse, size), 20);
      rounds.push((performance.now() - start) / 1000);
      await rest();
      expectSame(await endStateOf(packhouse, UPSTREAM, "bench"), expected);
      const index = readIndex(await bench.debs(size));
      expectStanzas(await readPublished(packhouse, "bench", "bookworm"), index);
      if (policy === "immediate") await expectFiles(packhouse, "bench", "bookworm");
      await packhouse.remove();
      console.log(`${kills} kills, ${rounds.length} syncs: the same`);
    }
    const note = `${kills} kills over ${rounds.length} syncs, each the same in the end; ${calmSeconds.toFixed(1)} s without`;
    return { work: `chaos-${policy}`, size, seconds: rounds, peakMb, peers: [], note };
  } finally {
    await seed?.remove();
    site.close();
  }
}

/** A server that lives for some time; true when all was done before that was over. */
async function life(packhouse: BenchPackhouse, size: number, random: () => number, longestSeconds: number) {
  const isLate = random() < LATE;
  const share = random();
  const limit = performance.now() + (isLate ? 3 : share) * longestSeconds * 1000;
  while (performance.now() < limit) {
    if (await isSettled(packhouse, size)) return true;
    const { packages } = await packhouse.call(z.object({ packages: z.number() }), "GET", `/upstream/${UPSTREAM}`);
    if (isLate && packages === size) {
      await sleep(share * LATE_MS);
      return false;
    }
    await sleep(Math.max(0, Math.min(20, limit - performance.now())));
  }
  return false;
}

/** An upstream and a repo that follows it, at rest at what the site offers now. */
async function followed(packhouse: BenchPackhouse, path: string, policy: Policy): Promise<void> {
  const place = { type: "apt", architectures: ["amd64"] };
  const from = { path, series: ["bookworm"], components: ["main"], policy };
  await packhouse.call(z.unknown(), "POST", "/upstream", { name: UPSTREAM, ...place, ...from });
  await untilDone(packhouse);
  const follower = { name: "bench", ...place, suite: "bookworm", follow: UPSTREAM };
  await packhouse.call(z.unknown(), "POST", "/repo", follower);
  await until(async () => {
    const { commit, published_commit, packages } = await packhouse.call(RepoState, "GET", "/repo/bench");
    return packages > 0 && commit === published_commit;
  }, 20);
  await rest();
  await packhouse.kill();
}

async function untilDone(packhouse: BenchPackhouse): Promise<void> {
  await until(async () => (await syncState(packhouse)) === "done", 20);
}

function sync(packhouse: BenchPackhouse): Promise<unknown> {
  return packhouse.call(z.unknown(), "PUT", `/upstream/${UPSTREAM}`, {});
}

async function syncState(packhouse: BenchPackhouse): Promise<string> {
  const { state, job } = await packhouse.call(Upstream, "GET", `/upstream/${UPSTREAM}`);
  if (state === "failed") throw new Error(`wrong result: ${(await packhouse.ask("GET", job)).text}`);
  return state;
}

/** Whether the sync is over and clients of the follower read what it brought. */
async function isSettled(packhouse: BenchPackhouse, size: number): Promise<boolean> {
  if ((await syncState(packhouse)) !== "done") return false;
  const { commit, published_commit, packages } = await packhouse.call(RepoState, "GET", "/repo/bench");
  return packages === size && commit === published_commit;
}
