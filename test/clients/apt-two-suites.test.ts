import { afterAll, beforeAll, expect, test } from "vitest";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { sha256 } from "../support/surface-requests.ts";

const SUITES = ["bookworm", "trixie"];
const both = buildDeb({ control: { Package: "both", Version: "1.0-1" } });
const one = buildDeb({ control: { Package: "one", Version: "1.0-1" } });
let site: Site;

beforeAll(async () => {
  site = await openSite("apt-two-suites");
  await site.repo("suites", "apt", { suite: SUITES[0] });
  await site.publish({ name: "both", architecture: "amd64", filename: "both_1.0-1_amd64.deb", bytes: both });
  await site.publish({ name: "one", architecture: "amd64", filename: "one_1.0-1_amd64.deb", bytes: one });
});
afterAll(() => site.close());

async function change(method: "PUT" | "PATCH", body: object): Promise<void> {
  const { status, body: answer } = await site.packhouse.call(method, "/repo/suites/packages", body);
  expect([status, answer]).toEqual([200, expect.any(Object)]);
  await expect
    .poll(async () => (await site.packhouse.call("GET", "/repo/suites")).body.published_commit, { timeout: 20_000 })
    .toBe(answer.commit);
}

async function seenIn(clients: ReadonlyMap<string, AptClient>): Promise<Record<string, string[]>> {
  const seen: Record<string, string[]> = {};
  for (const [suite, apt] of clients) {
    await apt.update();
    seen[suite] = await apt.visible();
  }
  return seen;
}

test("one .deb in two suites is installed from either, and taken out of both at once", async () => {
  const places = SUITES.map((suite) => ({ suite, component: "main" }));
  await change("PUT", { [sha256(both)]: { places }, [sha256(one)]: {} });
  const source = (await site.read("/apt/suites/packhouse.sources")).toString();
  const clients = new Map<string, AptClient>();
  for (const suite of SUITES) {
    const sources = source.replace(/^Suites: .*$/m, `Suites: ${suite}`);
    clients.set(suite, await openApt(site.bench, suite, { sources }));
  }
  expect(await seenIn(clients)).toEqual({ bookworm: ["both=1.0-1", "one=1.0-1"], trixie: ["both=1.0-1"] });
  for (const apt of clients.values()) expect((await apt.show("both")).SHA256).toBe(sha256(both));

  await change("PATCH", { remove: [sha256(both)] });
  expect(await seenIn(clients)).toEqual({ bookworm: ["one=1.0-1"], trixie: [] });
});
