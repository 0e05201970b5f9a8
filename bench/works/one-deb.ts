import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Bench, Work } from "../bench.ts";
import { expectAdded, expectStanzas, packageOf, readPublished } from "../check.ts";
import { isAdded } from "../inputs/added.ts";
import { newDeb, readIndex } from "../inputs/debs.ts";
import { aptlyAdd, aptlyCopy, aptlyFolder } from "../peers/aptly.ts";
import { repreproAdd, repreproCopy, repreproFolder } from "../peers/reprepro.ts";
import { rest, Times, untilChanged, upload } from "../steps.ts";

/** One package more in a published, signed repo: from the request that commits it to the InRelease that names it. */
export const oneDeb: Work = {
  name: "one-deb",
  what: "one .deb added to a published, signed repo, from the commit to the new InRelease",
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size);
    const times = new Times();
    try {
      packhouse.forgetPeak();
      for (let run = 0; run < bench.runs; run += 1) {
        const deb = newDeb(run);
        const sha256 = await upload(packhouse, `${deb.name}/debian/bookworm/amd64`, deb.filename, deb.bytes);
        await rest();
        const add = () => packhouse.call(z.unknown(), "PATCH", "/repo/bench/packages", { add: { [sha256]: {} } });
        await times.add(packhouse, () => untilChanged(packhouse, "/apt/bench/dists/stable/InRelease", add));
      }
      const peakMb = packhouse.peakMb();
      const added = Array.from({ length: bench.runs }, (_, run) => newDeb(run).name);
      await expectAdded(packhouse, "bench", { count: size + bench.runs, added });
      if (size === bench.files(size)) {
        const published = await readPublished(packhouse, "bench");
        const before = published.filter((stanza) => !isAdded(packageOf(stanza)));
        expectStanzas(before, readIndex(await bench.debs(size)));
      }
      return [{ work: "one-deb", size, ...times.taken, peakMb, peers: await peers(bench, size) }];
    } finally {
      await packhouse.remove();
    }
  },
};

async function peers(bench: Bench, size: number) {
  if (size !== bench.files(size)) return [];
  const debs = await bench.debs(size);
  const folder = bench.folder("one-deb");
  const added = (run: number) => {
    const { filename, bytes } = newDeb(run);
    writeFileSync(join(folder, filename), bytes);
    return join(folder, filename);
  };
  const measured = async (one: (deb: string) => Promise<number>) => {
    const seconds: number[] = [];
    for (let run = 0; run < bench.runs; run += 1) seconds.push(await one(added(run)));
    return seconds;
  };
  return [
    ...(await bench.peer("reprepro", "one-deb", size, async () => {
      const copy = join(folder, "reprepro");
      await repreproCopy(await repreproFolder(debs, size), copy);
      return measured((deb) => repreproAdd(copy, deb));
    })),
    ...(await bench.peer("aptly", "one-deb", size, async () => {
      const copy = join(folder, "aptly");
      await aptlyCopy(await aptlyFolder(debs, size), copy);
      return measured((deb) => aptlyAdd(copy, deb));
    })),
  ];
}
