import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Bench, Work } from "../bench.ts";
import { openSite } from "../inputs/site.ts";
import { timed } from "../peers/programs.ts";
import { repreproCopy, repreproFolder } from "../peers/reprepro.ts";
import { repeated, untilPublished } from "../steps.ts";

/** A client of its own: nothing of this machine's apt but its programs. */
function clientOf(bench: Bench, source: string) {
  const root = bench.folder("apt");
  for (const folder of [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "var/lib/dpkg",
    "var/cache/apt/archives/partial",
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, "var/lib/dpkg/status"), "");
  writeFileSync(join(root, "etc/apt/sources.list.d/bench.list"), `${source}\n`);
  const settings = {
    Dir: root,
    "Dir::State::status": join(root, "var/lib/dpkg/status"),
    "APT::Architecture": "amd64",
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const lists = join(root, "var/lib/apt/lists");
  return {
    async update(): Promise<number> {
      rmSync(lists, { recursive: true, force: true });
      rmSync(join(root, "var/cache/apt"), { recursive: true, force: true });
      for (const folder of [join(lists, "partial"), join(root, "var/cache/apt/archives/partial")])
        mkdirSync(folder, { recursive: true });
      return timed("apt-get", [...options, "update"]);
    },
    /** How many packages it sees: an update that saw none ends well too. */
    seen(): number {
      const told = execFileSync("apt-cache", [...options, "pkgnames"], { encoding: "utf8", maxBuffer: 1 << 28 });
      return told.split("\n").filter((name) => name !== "").length;
    },
  };
}

export const aptUpdate: Work = {
  name: "apt-update",
  what: "`apt-get update` by a client that has nothing yet; the peer is the same of reprepro's repository on a static server",
  isQuick: true,
  async run(bench, size) {
    if (bench.files(size) !== size) return [];
    const packhouse = await bench.published("apt", size);
    try {
      packhouse.forgetPeak();
      const client = clientOf(bench, `deb [trusted=yes] ${packhouse.url}/apt/bench stable main`);
      const expected = new Set(bench.source.take(size).map(({ name }) => name)).size;
      const seconds = await repeated(bench.runs, () => client.update());
      if (client.seen() < expected) throw new Error(`wrong result: apt sees ${client.seen()} packages of ${expected}`);
      const peakMb = packhouse.peakMb();
      const peers = await bench.peer("reprepro", "apt-update", size, async () => {
        const copy = join(bench.folder("apt-update"), "reprepro");
        await repreproCopy(await repreproFolder(await bench.debs(size), size), copy);
        const site = await openSite(copy);
        try {
          const other = clientOf(bench, `deb [trusted=yes] ${site.url} stable main`);
          return await repeated(bench.runs, () => other.update());
        } finally {
          site.close();
        }
      });
      const packed = async (suffix: string) =>
        Number(
          (
            await fetch(`${packhouse.url}/apt/bench/dists/stable/main/binary-amd64/Packages.${suffix}`, {
              method: "GET",
            })
          ).headers.get("content-length"),
        );
      const rows = [{ work: "apt-update", size, seconds, peakMb, peers, note: `${await packed("gz")} bytes of index` }];
      if (bench.options.quick) return rows;
      await packhouse.call(z.unknown(), "PUT", "/repo/bench", { indexes: ["gz", "xz"] });
      await untilPublished(packhouse, "bench");
      packhouse.forgetPeak();
      const xz = await repeated(bench.runs, () => client.update());
      if (client.seen() < expected)
        throw new Error(`wrong result: apt sees ${client.seen()} packages of ${expected} in xz`);
      return [
        ...rows,
        {
          work: "apt-update-xz",
          size,
          seconds: xz,
          peakMb: packhouse.peakMb(),
          peers,
          note: `${await packed("xz")} bytes of index`,
        },
      ];
    } finally {
      await packhouse.remove();
    }
  },
};
