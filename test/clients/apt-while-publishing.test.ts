import { afterAll, beforeAll, expect, test } from "vitest";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { type BuiltDeb, deb } from "../support/clients-debs.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { readWhilePublishing, secondsUntil, uploadOnly } from "../support/clients-upload.ts";

let site: Site;
const UPLOADS = 30;
const PROBES = 5;

function many(name: string, count: number): BuiltDeb[] {
  return Array.from({ length: count }, (_, index) => deb({ Package: `${name}-${index}` }, { options: ["-Znone"] }));
}

const named = (debs: readonly BuiltDeb[]) => debs.map(({ name, version }) => `${name}=${version}`).sort();

beforeAll(async () => {
  site = await openSite("apt-loop");
  await Promise.all([
    site.repo("busy", "apt", { accepts: ["**"] }),
    site.repo("probed", "apt", { accepts: Array.from({ length: PROBES }, (_, index) => `probe-${index}/*/*/*`) }),
  ]);
});

afterAll(() => site.close());

async function client(name: string, repo: string): Promise<AptClient> {
  const sources = (await site.read(`/apt/${repo}/packhouse.sources`)).toString();
  return openApt(site.bench, name, { sources });
}

test("apt reading all the while 30 uploads are published never meets indexes that disagree, and sees all in the end", async () => {
  const debs = many("loop", UPLOADS);
  const apt = await client("loop", "busy");
  const sizes: number[] = [];
  const updates = await readWhilePublishing(site, debs, async () => {
    await apt.update();
    sizes.push((await apt.visible()).length);
  });
  console.log(`${updates} times apt-get update during ${UPLOADS} uploads; packages seen: ${sizes.join(" ")}`);
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  expect(await apt.visible()).toEqual(named(debs));
});

test("an uploaded package is visible in apt-get update within seconds", async () => {
  const apt = await client("probe", "probed");
  const took: number[] = [];
  for (const probe of many("probe", PROBES)) {
    const since = await uploadOnly(site, probe);
    took.push(
      await secondsUntil(since, async () => {
        await apt.update();
        return (await apt.visible()).includes(`${probe.name}=${probe.version}`);
      }),
    );
  }
  console.log(`last byte uploaded to visible in apt: ${took.map((seconds) => `${seconds.toFixed(2)} s`).join(", ")}`);
  expect(Math.max(...took)).toBeLessThan(10);
});
