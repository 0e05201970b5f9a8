import { join } from "node:path";
import { z } from "zod";
import { type Bench, type Work, withTree } from "../bench.ts";
import { expectAdded, expectStanzas, readPublished } from "../check.ts";
import { expectAsFtparchive } from "../check-apt.ts";
import { readIndex } from "../inputs/debs.ts";
import { aptly, aptlyCopy, aptlyFolder, aptlyPublish, aptlyUpdate } from "../peers/aptly.ts";
import { rest, secondsOf, Times, untilChanged } from "../steps.ts";

const IN_RELEASE = "dists/stable/InRelease";

export const firstPublication: Work = {
  name: "first-publication",
  what: "first publication of all, from the commit to the InRelease; how long the tree takes is told beside it",
  isQuick: true,
  async run(bench, size) {
    let written = 0;
    const peaks: number[] = [];
    const times = new Times();
    for (let nth = 0; nth < bench.runs; nth += 1) {
      const { packhouse, commit, treeSeconds } = await withTree(bench, "apt", size);
      try {
        written = treeSeconds;
        await rest();
        packhouse.forgetPeak();
        await times.add(packhouse, () => untilChanged(packhouse, `/apt/bench/${IN_RELEASE}`, commit));
        peaks.push(packhouse.peakMb());
        if (nth === 0) await expectAdded(packhouse, "bench", { count: size, added: [] });
        if (nth === 0 && bench.files(size) === size) {
          const published = await readPublished(packhouse, "bench");
          expectStanzas(published, readIndex(await bench.debs(size)));
          expectAsFtparchive(published, await bench.debs(size));
        }
      } finally {
        await packhouse.remove();
      }
    }
    const peers = await aptlyPeer(bench, "first-publication", size, async (copy, kept) => {
      await aptlyCopy(kept, copy, { published: false });
      return aptlyPublish(copy);
    });
    const note = `tree written in ${written.toFixed(2)} s`;
    return [{ work: "first-publication", size, ...times.taken, peakMb: Math.max(...peaks), peers, note }];
  },
};

export const nothingChanged: Work = {
  name: "nothing-changed",
  what: "a publication where nothing changed",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size, { trace: "spans" });
    try {
      await rest();
      packhouse.forgetPeak();
      const Published = z.object({ seconds: z.number(), requests: z.number(), writes: z.number() });
      let note = "";
      const times = new Times();
      for (let run = 0; run < bench.runs; run += 1) {
        await times.add(packhouse, async () => {
          const done = await packhouse.act(Published, "publish", { type: "apt", name: "bench" });
          if (done.writes > 0) throw new Error(`wrong result: ${done.writes} writes where nothing changed`);
          note = `${done.requests} requests, none writes`;
          return done.seconds;
        });
      }
      const peers = await aptlyPeer(bench, "nothing-changed", size, async (copy, kept) => {
        await aptlyCopy(kept, copy);
        return aptlyUpdate(copy);
      });
      return [{ work: "nothing-changed", size, ...times.taken, peakMb: packhouse.peakMb(), peers, note }];
    } finally {
      await packhouse.remove();
    }
  },
};

export const secondRepo: Work = {
  name: "second-repo",
  what: "a second repo synced from the first, published and signed with its own key",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size);
    try {
      packhouse.forgetPeak();
      const times = new Times();
      for (let nth = 0; nth < bench.runs; nth += 1) {
        const name = `fork-${nth}`;
        await packhouse.call(z.unknown(), "POST", "/repo", { name, type: "apt", architectures: ["amd64"] });
        await rest();
        const sync = { sync: { name: "bench", type: "repo" } };
        const take = () => packhouse.call(z.unknown(), "PUT", `/repo/${name}/packages`, sync);
        await times.add(packhouse, () => untilChanged(packhouse, `/apt/${name}/${IN_RELEASE}`, take));
      }
      const peakMb = packhouse.peakMb();
      if (bench.files(size) === size) {
        expectStanzas(await readPublished(packhouse, "fork-0"), await readPublished(packhouse, "bench"));
      }
      await expectAdded(packhouse, "fork-0", { count: size, added: [] });
      const peers = await aptlyPeer(bench, "second-repo", size, async (copy, kept) => {
        await aptlyCopy(kept, copy);
        return secondsOf(async () => {
          await aptly(copy, "snapshot", "create", "fork", "from", "repo", "bench");
          await aptly(
            copy,
            "publish",
            "snapshot",
            "-batch",
            "-gpg-key=bench@example.org",
            "-distribution=stable",
            "fork",
            "fork",
          );
        });
      });
      return [{ work: "second-repo", size, ...times.taken, peakMb, peers }];
    } finally {
      await packhouse.remove();
    }
  },
};

/** One run of aptly in a copy of the kept repo: what it does is slow and steady. */
export async function aptlyPeer(
  bench: Bench,
  work: string,
  size: number,
  run: (copy: string, kept: string) => Promise<number>,
) {
  if (bench.files(size) !== size) return [];
  const measure = async () => {
    const kept = await aptlyFolder(await bench.debs(size), size);
    return [await run(join(bench.folder(work), "aptly"), kept)];
  };
  return bench.peer("aptly", work, size, measure);
}
