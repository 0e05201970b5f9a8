import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Bench, type Work, withTree } from "../bench.ts";
import { expectAsCreaterepo, expectRpms } from "../check-yum.ts";
import { listedRpms, newRpm } from "../inputs/rpms.ts";
import { createrepo, createrepoAdd, createrepoCopy, createrepoFolder } from "../peers/createrepo.ts";
import { profiled } from "../profile.ts";
import { repeated, rest, untilChanged, upload, withCpu } from "../steps.ts";

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
      let note = "";
      const once = async (nth: number) => {
        const rpm = newRpm(nth);
        const sha256 = await upload(packhouse, `${rpm.name}/fedora/42/noarch`, rpm.filename, rpm.bytes);
        added.add(sha256);
        await rest();
        const add = () => packhouse.call(z.unknown(), "PATCH", "/repo/bench/packages", { add: { [sha256]: {} } });
        const { result, cpu } = await withCpu(packhouse, () => untilChanged(packhouse, MIRRORLIST, add));
        note = `the last: ${cpu}`;
        return result;
      };
      const seconds = await repeated(bench.runs, once);
      const peakMb = packhouse.peakMb();
      if (bench.options.profile) console.log(await profiled(packhouse, `one-rpm-${size}`, () => once(bench.runs)));
      if (bench.files(size) === size) {
        const expected = listedRpms(await bench.rpms(size)).map(({ sha256 }) => sha256);
        await expectRpms(packhouse, "bench", [...expected, ...added]);
      }
      const peers = await createrepoPeer(bench, "one-rpm", size, async (kept, folder) => {
        createrepoCopy(kept, join(folder, "repo"));
        const rpm = newRpm(0);
        writeFileSync(join(folder, rpm.filename), rpm.bytes);
        return createrepoAdd(join(folder, "repo"), join(folder, rpm.filename));
      });
      return [{ work: "one-rpm", size, seconds, peakMb, peers, note }];
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
      const taken = await untilChanged(packhouse, MIRRORLIST, commit);
      const peakMb = packhouse.peakMb();
      if (bench.files(size) === size) {
        const folder = await bench.rpms(size);
        const all = listedRpms(folder).map(({ sha256 }) => sha256);
        await expectRpms(packhouse, "bench", all);
        await expectAsCreaterepo(packhouse, "bench", folder);
      }
      const peers = await createrepoPeer(bench, "first-publication-yum", size, async (kept, folder) => {
        createrepoCopy(kept, join(folder, "repo"));
        return createrepo(join(folder, "repo"));
      });
      const note = `tree written in ${treeSeconds.toFixed(2)} s`;
      return [{ work: "first-publication-yum", size, seconds: [taken], peakMb, peers, note }];
    } finally {
      await packhouse.remove();
    }
  },
};

async function createrepoPeer(
  bench: Bench,
  work: string,
  size: number,
  run: (kept: string, folder: string) => Promise<number>,
) {
  if (bench.files(size) !== size) return [];
  const measure = async () => [await run(await createrepoFolder(await bench.rpms(size), size), bench.folder(work))];
  return bench.peer("createrepo_c", work, size, measure);
}
