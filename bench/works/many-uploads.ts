import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Bench, Work } from "../bench.ts";
import { expectAdded, packageOf, publishedStanzas } from "../check.ts";
import { expectAsFtparchive } from "../check-apt.ts";
import { isAdded } from "../inputs/added.ts";
import { newDeb } from "../inputs/debs.ts";
import { profiled } from "../profile.ts";
import { Counts, repoState, rest, secondsOf, send, sumOf, Times, until, untilPublished } from "../steps.ts";

const CLIENTS = 50;
const UPLOADS = 200;
/** Files of an apt repo that each publication writes. */
const POINTERS = 3;

export const manyUploads: Work = {
  name: "many-uploads",
  what: `${UPLOADS} uploads by ${CLIENTS} clients at once into one repo, until clients see all of them`,
  isQuick: true,
  async run(bench, size) {
    const packhouse = await bench.published("apt", size, { trace: "counts" });
    try {
      await packhouse.call(z.unknown(), "PUT", "/repo/bench", { accepts: ["bulk/debian/*/*"] });
      await untilPublished(packhouse, "bench");
      await rest();
      await packhouse.act(Counts, "counts");
      packhouse.forgetPeak();
      const numbers = Array.from({ length: UPLOADS }, (_, index) => index);
      const client = async () => {
        for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
          const deb = newDeb(number);
          await send(packhouse, "bulk/debian/bookworm/amd64", deb.filename, deb.bytes);
        }
      };
      const before = await repoState(packhouse, "bench");
      let sent = 0;
      const work = async () => {
        sent = await secondsOf(() => Promise.all(Array.from({ length: CLIENTS }, client)));
        await until(async () => {
          const { packages, commit, published_commit } = await repoState(packhouse, "bench");
          return packages === size + UPLOADS && commit === published_commit;
        }, 100);
      };
      const times = new Times();
      await times.add(packhouse, async () => {
        if (bench.options.profile) console.log(await profiled(packhouse, `many-uploads-${size}`, work));
        else await work();
      });
      const counts = await packhouse.act(Counts, "counts");
      const publications = (counts["objects.putPointer"] ?? 0) / POINTERS;
      const added = Array.from({ length: UPLOADS }, (_, number) => newDeb(number).name);
      await expectAdded(packhouse, "bench", { count: size + UPLOADS, added });
      await expectUploads(bench, publishedStanzas(packhouse, "bench"));
      const commits = (await repoState(packhouse, "bench")).commit - before.commit;
      const note = `all sent after ${sent.toFixed(1)} s, ${Math.round(publications)} publications, ${commits} commits, ${sumOf(counts)} requests to table, store and queues`;
      console.log(counts);
      return [{ work: "many-uploads", size, ...times.taken, peakMb: packhouse.peakMb(), peers: [], note }];
    } finally {
      await packhouse.remove();
    }
  },
};

/** Throws unless what was uploaded is published as apt-ftparchive tells of it. */
async function expectUploads(bench: Bench, published: AsyncIterable<string>): Promise<void> {
  const folder = bench.folder("many-uploads");
  mkdirSync(join(folder, "pool"));
  for (let number = 0; number < UPLOADS; number += 1) {
    const { filename, bytes } = newDeb(number);
    writeFileSync(join(folder, "pool", filename), bytes);
  }
  const added: string[] = [];
  for await (const stanza of published) if (isAdded(packageOf(stanza))) added.push(stanza);
  expectAsFtparchive(added, folder);
}
