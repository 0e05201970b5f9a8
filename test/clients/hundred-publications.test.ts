import { afterAll, beforeAll, expect, test } from "vitest";
import { openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openDnf } from "../support/clients-dnf.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { buildRpm } from "../support/rpm-builder.ts";

let site: Site;
const PUBLICATIONS = 100;

beforeAll(async () => {
  site = await openSite("hundred");
  await Promise.all([site.repo("debs", "apt", { accepts: ["**"] }), site.repo("rpms", "yum", { accepts: ["**"] })]);
});

afterAll(() => site.close());

function debOf(index: number) {
  return deb({ Package: `loop-${index}` }, { options: ["-Znone"] });
}

function rpmOf(index: number) {
  const name = `loop-${index}`;
  const bytes = buildRpm({ name, files: [{ path: `/usr/share/${name}` }] });
  return { name, architecture: "noarch", filename: `${name}-1.0-1.noarch.rpm`, bytes };
}

test("apt and dnf reading in a loop during 100 publications never meet a mismatch, and lose sight of nothing", async () => {
  const sources = (await site.read("/apt/debs/packhouse.sources")).toString();
  const apt = await openApt(site.bench, "apt", { sources });
  const dnf = await openDnf(site.bench, "dnf", {
    "rpms.repo": (await site.read("/yum/rpms/packhouse.repo")).toString(),
  });
  let publishing = true;
  const seen = { apt: [] as number[], dnf: [] as number[] };
  const reading = [
    async () => {
      await apt.update();
      seen.apt.push((await apt.visible()).length);
    },
    async () => {
      seen.dnf.push((await dnf.query("--refresh", "loop-*")).length);
    },
  ].map(async (read) => {
    while (publishing) await read();
    await read();
  });
  const publish = async () => {
    // Each is published before the next is uploaded: none is merged with another.
    for (let index = 0; index < PUBLICATIONS; index += 1) {
      await Promise.all([site.publish(debOf(index)), site.publish(rpmOf(index))]);
    }
  };
  await Promise.all([publish().finally(() => (publishing = false)), ...reading]);
  console.log(`${seen.apt.length} times apt-get update, ${seen.dnf.length} times dnf repoquery`);
  for (const sizes of Object.values(seen)) {
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(sizes.at(-1)).toBe(PUBLICATIONS);
  }
  for (const name of ["debs", "rpms"]) {
    const { published_commit } = (await site.packhouse.call("GET", `/repo/${name}`)).body;
    expect(published_commit).toBe(PUBLICATIONS);
  }
}, 400_000);
