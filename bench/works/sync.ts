import { z } from "zod";
import type { Bench, PeerTime, Row, Work } from "../bench.ts";
import { expectStanzas, readPublished } from "../check.ts";
import { readIndex, signRelease } from "../inputs/debs.ts";
import { openSite } from "../inputs/site.ts";
import { aptly } from "../peers/aptly.ts";
import { profiled } from "../profile.ts";
import { type BenchPackhouse, startBench } from "../server/packhouse.ts";
import { Counts, secondsOf, sumOf, Times, until, untilPublished } from "../steps.ts";

const State = z.object({
  state: z.string(),
  commit: z.number(),
  packages: z.number(),
  last_synced: z.string().nullable(),
  job: z.string(),
});

type Policy = "on_demand" | "immediate";

export const syncMetadata: Work = {
  name: "sync-metadata",
  what: "an upstream synced, metadata alone (on_demand), to the commit; and again, where nothing is new",
  isQuick: true,
  run: (bench, size) => synced(bench, size, "on_demand"),
};

export const syncFiles: Work = {
  name: "sync-files",
  what: "an upstream synced with all its files (immediate), to the commit; and again, where nothing is new",
  isQuick: false,
  run: (bench, size) => synced(bench, size, "immediate"),
};

async function synced(bench: Bench, size: number, policy: Policy): Promise<Row[]> {
  if (bench.files(size) !== size) return [];
  const folder = await bench.debs(size);
  signRelease(folder);
  const site = await openSite(folder);
  const packhouse = await startBench({ trace: "counts" });
  const name = policy === "immediate" ? "sync-files" : "sync-metadata";
  try {
    const begin = async () => {
      await packhouse.call(z.unknown(), "POST", "/upstream", {
        name: "debian",
        type: "apt",
        path: site.url,
        series: ["bookworm"],
        components: ["main"],
        architectures: ["amd64"],
        policy,
      });
      await untilSynced(packhouse);
    };
    packhouse.forgetPeak();
    const first = new Times();
    await first.add(packhouse, async () => {
      if (bench.options.profile) console.log(await profiled(packhouse, `${name}-${size}`, begin));
      else await begin();
    });
    const peakMb = packhouse.peakMb();
    const counts = await packhouse.act(Counts, "counts");
    console.log(counts);
    const { packages } = await packhouse.call(State, "GET", "/upstream/debian");
    if (packages !== size) throw new Error(`wrong result: ${packages} packages were synced`);
    site.taken();
    packhouse.forgetPeak();
    const again = new Times();
    await again.add(packhouse, async () => {
      await packhouse.call(z.unknown(), "PUT", "/upstream/debian", {});
      await untilSynced(packhouse);
    });
    const asked = site.taken();
    if (asked.length > 1) throw new Error(`wrong result: nothing is new, and asked for was ${asked.join(", ")}`);
    const againPeak = packhouse.peakMb();
    await checkPublished(bench, packhouse, size);
    const peers = await aptlyMirror(bench, size, site.url);
    return [
      {
        work: name,
        size,
        ...first.taken,
        peakMb,
        peers: peers.first,
        note: `${sumOf(counts)} requests to table, store and queues`,
      },
      {
        work: `${name}-again`,
        size,
        ...again.taken,
        peakMb: againPeak,
        peers: peers.again,
        note: `${asked.length} request to the upstream`,
      },
    ];
  } finally {
    await packhouse.remove();
    site.close();
  }
}

/** A repo takes the upstream's head over, and is what apt would be given. */
async function checkPublished(bench: Bench, packhouse: BenchPackhouse, size: number): Promise<void> {
  await packhouse.call(z.unknown(), "POST", "/repo", {
    name: "bench",
    type: "apt",
    suite: "bookworm",
    architectures: ["amd64"],
  });
  await packhouse.call(z.unknown(), "PUT", "/repo/bench/packages", { sync: { name: "debian", type: "upstream" } });
  await untilPublished(packhouse, "bench");
  expectStanzas(await readPublished(packhouse, "bench", "bookworm"), readIndex(await bench.debs(size)));
}

export async function untilSynced(packhouse: BenchPackhouse, name = "debian"): Promise<void> {
  await until(async () => {
    const { state, job } = await packhouse.call(State, "GET", `/upstream/${name}`);
    if (state === "failed") throw new Error((await packhouse.ask("GET", job)).text);
    return state === "done";
  }, 20);
}

/** aptly fetches the files too: it has no other way. */
async function aptlyMirror(bench: Bench, size: number, url: string): Promise<{ first: PeerTime[]; again: PeerTime[] }> {
  const root = bench.folder("aptly-mirror");
  const update = () => aptly(root, "mirror", "update", "-ignore-signatures", "debian");
  const begin = async () => {
    // What is of all architectures is in the index of each.
    await aptly(
      root,
      "-architectures=amd64",
      "mirror",
      "create",
      "-ignore-signatures",
      "debian",
      url,
      "bookworm",
      "main",
    );
    await update();
  };
  let made = false;
  const first = await bench.peer("aptly", "sync", size, async () => {
    made = true;
    return [await secondsOf(begin)];
  });
  const again = await bench.peer("aptly", "sync-again", size, async () => {
    if (!made) await begin();
    return [await update()];
  });
  return { first, again };
}
