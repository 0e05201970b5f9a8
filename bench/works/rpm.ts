import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Bench, type PeerTime, type Work, withTree } from "../bench.ts";
import { expectAsCreaterepo, expectRpms } from "../check-yum.ts";
import { listedRpms, newRpm } from "../inputs/rpms.ts";
import {
  CREATEREPOS,
  type Createrepo,
  createrepo,
  createrepoAdd,
  createrepoCopy,
  createrepoFolder,
} from "../peers/createrepo.ts";
import { isThere } from "../peers/programs.ts";
import { profiled } from "../profile.ts";
import { rest, Times, untilChanged, upload } from "../steps.ts";

/** The one pointer that leads clients to a commit. */
const MIRRORLIST = "/yum/bench/mirrorlist";

export const oneRpm: Work = {
  name: "one-rpm",
  what: "one .rpm added to a published, signed repo, from the commit to the new mirrorlist",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("yum", size);
    try {
      packhouse.forgetPeak();
      const added = new Set<string>();
      const once = async (nth: number, times: Times) => {
        const rpm = newRpm(nth);
        const sha256 = await upload(packhouse, `${rpm.name}/fedora/42/noarch`, rpm.filename, rpm.bytes);
        added.add(sha256);
        await rest();
        const add = () => packhouse.call(z.unknown(), "PATCH", "/repo/bench/packages", { add: { [sha256]: {} } });
        await times.add(packhouse, () => untilChanged(packhouse, MIRRORLIST, add));
      };
      const times = new Times();
      for (let run = 0; run < bench.runs; run += 1) await once(run, times);
      const peakMb = packhouse.peakMb();
      if (bench.options.profile)
        console.log(await profiled(packhouse, `one-rpm-${size}`, () => once(bench.runs, new Times())));
      if (bench.files(size) === size) {
        const expected = listedRpms(await bench.rpms(size)).map(({ sha256 }) => sha256);
        await expectRpms(packhouse, "bench", [...expected, ...added]);
      }
      const peers = await createrepoPeers(bench, "one-rpm", size, async (peer, kept, folder) => {
        createrepoCopy(kept, join(folder, "repo"));
        const rpm = newRpm(0);
        writeFileSync(join(folder, rpm.filename), rpm.bytes);
        return createrepoAdd(peer, join(folder, "repo"), join(folder, rpm.filename));
      });
      return [{ work: "one-rpm", size, ...times.taken, peakMb, peers }];
    } finally {
      await packhouse.remove();
    }
  },
};

export const firstRpms: Work = {
  name: "first-publication-yum",
  what: "first publication of all rpms, from the commit to the mirrorlist; how long the tree takes is told beside it",
  isQuick: false,
  async run(bench, size) {
    const { packhouse, commit, treeSeconds } = await withTree(bench, "yum", size);
    try {
      await rest();
      packhouse.forgetPeak();
      const times = new Times();
      await times.add(packhouse, () => untilChanged(packhouse, MIRRORLIST, commit));
      const peakMb = packhouse.peakMb();
      if (bench.files(size) === size) {
        const folder = await bench.rpms(size);
        const all = listedRpms(folder).map(({ sha256 }) => sha256);
        await expectRpms(packhouse, "bench", all);
        if (isThere("createrepo_c")) await expectAsCreaterepo(packhouse, "bench", folder);
        else console.log("not compared with createrepo_c, which is missing");
      }
      const peers = await createrepoPeers(bench, "first-publication-yum", size, async (peer, kept, folder) => {
        createrepoCopy(kept, join(folder, "repo"));
        return createrepo(peer, join(folder, "repo"));
      });
      const note = `tree written in ${treeSeconds.toFixed(2)} s`;
      return [{ work: "first-publication-yum", size, ...times.taken, peakMb, peers, note }];
    } finally {
      await packhouse.remove();
    }
  },
};

async function createrepoPeers(
  bench: Bench,
  work: string,
  size: number,
  run: (peer: Createrepo, kept: string, folder: string) => Promise<number>,
): Promise<PeerTime[]> {
  if (bench.files(size) !== size) return [];
  const peers: PeerTime[] = [];
  for (const peer of CREATEREPOS) {
    const measure = async () => {
      const kept = await createrepoFolder(peer, await bench.rpms(size), size);
      return [await run(peer, kept, bench.folder(work))];
    };
    peers.push(...(await bench.peer(peer.name, work, size, measure)));
  }
  return peers;
}
