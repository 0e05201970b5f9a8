import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Work } from "../bench.ts";
import { expectAdded } from "../check.ts";
import { newDeb } from "../inputs/debs.ts";
import { aptly, aptlyCopy } from "../peers/aptly.ts";
import type { BenchPackhouse } from "../server/packhouse.ts";
import { repoState, rest, Times, untilChanged, untilPublished, upload } from "../steps.ts";
import { aptlyPeer } from "./whole-repo.ts";

const SIGNED = ["-batch", "-gpg-key=bench@example.org"];

const Diff = z.object({ added: z.array(z.object({ name: z.string() })), removed: z.array(z.unknown()) });

/** Uploads packages that no repo takes by itself. */
async function uploaded(packhouse: BenchPackhouse, from: number, count: number): Promise<Record<string, object>> {
  const map: Record<string, object> = {};
  for (let number = from; number < from + count; number += 1) {
    const deb = newDeb(number);
    map[await upload(packhouse, `${deb.name}/debian/bookworm/amd64`, deb.filename, deb.bytes)] = {};
  }
  return map;
}

async function add(packhouse: BenchPackhouse, map: Record<string, object>): Promise<number> {
  const Done = z.object({ commit: z.number() });
  return (await packhouse.call(Done, "PATCH", "/repo/bench/packages", { add: map })).commit;
}

export const oldCommit: Work = {
  name: "old-commit",
  what: "an old commit read at /apt/NAME@N/ for the first time: one that was published, one that was merged into the next",
  isQuick: true,
  async run(bench, size) {
    const published = new Times();
    const merged = new Times();
    const packhouse = await bench.published("apt", size);
    try {
      packhouse.forgetPeak();
      for (let run = 0; run < bench.runs; run += 1) {
        const maps = [];
        for (let nth = 0; nth < 3; nth += 1) maps.push(await uploaded(packhouse, run * 3 + nth, 1));
        await untilPublished(packhouse, "bench");
        const { commit } = await repoState(packhouse, "bench");
        // The first is published at once, the others wait for a second to pass, and are one publication.
        const numbers = [];
        for (const map of maps) numbers.push(await add(packhouse, map));
        await untilPublished(packhouse, "bench");
        const read = (number: number, times: Times) =>
          times.add(packhouse, async () => {
            const { status, text } = await packhouse.ask("GET", `/apt/bench@${number}/dists/stable/InRelease`);
            if (status !== 200 || !text.includes("main/binary-amd64/Packages"))
              throw new Error(`wrong result: @${number} is ${status}`);
          });
        await read(commit, published);
        await read(numbers[1] ?? 0, merged);
      }
      await expectAdded(packhouse, "bench@1", { count: size, added: [] });
      const peakMb = packhouse.peakMb();
      const peers = await aptlyPeer(bench, "old-commit", size, async (copy, kept) => {
        await aptlyCopy(kept, copy);
        await aptly(copy, "snapshot", "create", "old", "from", "repo", "bench");
        return aptly(copy, "publish", "snapshot", ...SIGNED, "-distribution=stable", "old", "old");
      });
      return [
        { work: "old-commit", size, ...published.taken, peakMb, peers },
        { work: "old-commit-merged", size, ...merged.taken, peakMb, peers },
      ];
    } finally {
      await packhouse.remove();
    }
  },
};

export const diffAndBack: Work = {
  name: "diff-and-back",
  what: "diff of two commits that differ by five; roll back from one to the other",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size);
    try {
      packhouse.forgetPeak();
      const map = await uploaded(packhouse, 0, 5);
      const later = await add(packhouse, map);
      await untilPublished(packhouse, "bench");
      const names = Array.from({ length: 5 }, (_, number) => newDeb(number).name).sort();
      await expectAdded(packhouse, "bench", { count: size + 5, added: names });
      const diff = new Times();
      for (let run = 0; run < bench.runs; run += 1) {
        await diff.add(packhouse, async () => {
          const told = await packhouse.call(Diff, "GET", `/repo/bench/diff?from=1&to=${later}`);
          const found = told.added.map(({ name }) => name).sort();
          if (!isDeepStrictEqual(found, names) || told.removed.length > 0)
            throw new Error(`wrong result: ${JSON.stringify(told)}`);
        });
      }
      const back = new Times();
      for (let nth = 0; nth < bench.runs; nth += 1) {
        await untilPublished(packhouse, "bench");
        await rest();
        const commit = nth % 2 === 0 ? 1 : later;
        const roll = () => packhouse.call(z.unknown(), "POST", "/repo/bench/rollback", { commit });
        await back.add(packhouse, () => untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", roll));
      }
      const peakMb = packhouse.peakMb();
      const added = bench.runs % 2 === 0 ? names : [];
      await expectAdded(packhouse, "bench", { count: size + added.length, added });
      const twoSnapshots = async (copy: string, kept: string) => {
        await aptlyCopy(kept, copy, { published: false });
        await aptly(copy, "snapshot", "create", "one", "from", "repo", "bench");
        await aptly(copy, "repo", "remove", "bench", "Name (~ ^a..e$)");
        await aptly(copy, "snapshot", "create", "two", "from", "repo", "bench");
      };
      const diffPeers = await aptlyPeer(bench, "diff", size, async (copy, kept) => {
        await twoSnapshots(copy, kept);
        return aptly(copy, "snapshot", "diff", "one", "two");
      });
      const backPeers = await aptlyPeer(bench, "roll-back", size, async (copy, kept) => {
        await twoSnapshots(copy, kept);
        await aptly(copy, "publish", "snapshot", ...SIGNED, "-distribution=stable", "one");
        return aptly(copy, "publish", "switch", ...SIGNED, "stable", "two");
      });
      return [
        { work: "diff", size, ...diff.taken, peakMb, peers: diffPeers },
        { work: "roll-back", size, ...back.taken, peakMb, peers: backPeers },
      ];
    } finally {
      await packhouse.remove();
    }
  },
};
