import { afterAll, beforeAll, expect, test } from "vitest";
import { type DnfClient, openDnf } from "../support/clients-dnf.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { readWhilePublishing, secondsUntil, uploadOnly } from "../support/clients-upload.ts";
import { buildRpm } from "../support/rpm-builder.ts";

let site: Site;
const UPLOADS = 30;

const sample = (name: string) => ({
  name,
  architecture: "noarch",
  filename: `${name}-1.0-1.noarch.rpm`,
  bytes: buildRpm({ name, files: [{ path: `/usr/share/${name}` }] }),
});
const many = (name: string, count: number) => Array.from({ length: count }, (_, index) => sample(`${name}-${index}`));
const nevra = ({ name }: { name: string }) => `${name}-0:1.0-1.noarch`;

beforeAll(async () => {
  site = await openSite("dnf-loop");
  await site.repo("busy", "yum", { accepts: ["**"] });
});

afterAll(() => site.close());

async function ready(name: string): Promise<DnfClient> {
  return openDnf(site.bench, name, { "busy.repo": (await site.read("/yum/busy/packhouse.repo")).toString() });
}

test("dnf reading all the while 30 uploads are published never meets metadata that disagree, and sees all in the end", async () => {
  const rpms = many("loop", UPLOADS);
  const dnf = await ready("loop");
  const sizes: number[] = [];
  const reads = await readWhilePublishing(site, rpms, async () => {
    sizes.push((await dnf.query("--refresh", "loop-*")).length);
  });
  console.log(`${reads} times dnf repoquery during ${UPLOADS} uploads; packages seen: ${sizes.join(" ")}`);
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  expect(await dnf.query("--refresh", "loop-*")).toEqual(rpms.map(nevra).sort());
});

test("an uploaded package is visible in dnf within seconds", async () => {
  const dnf = await ready("probe");
  const took: number[] = [];
  for (const probe of many("probe", 3)) {
    const since = await uploadOnly(site, probe);
    took.push(await secondsUntil(since, async () => (await dnf.query("--refresh")).includes(nevra(probe))));
  }
  console.log(`last byte uploaded to visible in dnf: ${took.map((seconds) => `${seconds.toFixed(2)} s`).join(", ")}`);
  expect(Math.max(...took)).toBeLessThan(10);
});
