import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/aws-endpoints.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { type Answer, startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";

let packhouse: TestPackhouse;
let site: AptSite;
let name: string;
let round = 0;
const deb = (Package: string, Version = "1.0") =>
  buildDeb({ control: { Package, Version, Description: `of round ${round}` } });

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(async () => {
  site = await startAptSite();
  round += 1;
  name = `lab-${round}`;
  site.add("alpha_1.0_amd64.deb", deb("alpha"));
  site.add("beta_1.0_amd64.deb", deb("beta"));
  site.index();
  return () => site.close();
});
afterAll(() => packhouse.remove());

const at = (rest = "") => `/upstream/${name}${rest}`;
const get = (rest = "") => packhouse.call("GET", at(rest));
const make = (settings: object = {}): Promise<Answer> =>
  packhouse.call("POST", "/upstream", { name, type: "apt", path: site.url, series: ["stable"], ...settings });
/** The newest job when it has ended. */
async function ended(): Promise<Answer["body"]> {
  const { body } = await get();
  return (await packhouse.call("GET", `${body.job}?wait=25`)).body;
}
/** Holds back the answer to a path until it is let go; `asked` when somebody asks for it. */
function hold(path: string): { asked: Promise<void>; letGo: () => void } {
  let letGo = () => {};
  const asked = new Promise<void>((resolve) => {
    site.meanwhile = (wanted, request, response) => {
      if (wanted !== path) return false;
      resolve();
      letGo = () => {
        site.meanwhile = () => false;
        response.writeHead(307, { location: request.url ?? "/" }).end();
      };
      return true;
    };
  });
  return { asked, letGo: () => letGo() };
}

test("what was set is told, and what was not is as it is by default", async () => {
  const settings = {
    components: ["main"],
    architectures: ["amd64"],
    include: ["a*"],
    exclude: ["alpha-dbg"],
    extras: ["contents", "translations"],
    schedule: "rate(1 day)",
  };
  expect((await make(settings)).status).toBe(201);
  await ended();
  const packages = Object.values<{ size: number }>((await packhouse.call("GET", at("/packages"))).body);
  expect((await get()).body).toMatchObject({
    ...settings,
    name,
    type: "apt",
    series: ["stable"],
    policy: "immediate",
    state: "done",
    packages: 1,
    bytes: packages[0]?.size,
    commit: 1,
    last_synced: expect.any(String),
  });
  const { status, body } = await packhouse.call("PUT", at(), { schedule: null, extras: [] });
  expect([status, body.schedule, body.extras]).toEqual([202, null, []]);
  expect(body.include).toEqual(["a*"]);
});

test.each([
  [{ schedule: "every day" }, 400, "expected like rate(1 day)"],
  [{ schedule: "rate(1 minute)" }, 400, "5 minutes at least"],
  [{ schedule: "cron(0 6 * * * *)" }, 400, "the other is ?"],
  [{ extras: ["icons"] }, 400, "extras"],
  [{ policy: "sometimes" }, 400, "policy"],
  [{ interval: 5 }, 400, "interval"],
  [{ type: "yum", extras: ["dep11"] }, 422, "this one is yum"],
])("%j is refused with %i", async (settings, status, why) => {
  const refused = await make(settings);
  expect([refused.status, JSON.stringify(refused.body)]).toEqual([status, expect.stringContaining(why)]);
  expect((await get()).status).toBe(404);
  await make();
  expect((await packhouse.call("PUT", at(`?type=apt`), { ...settings, type: "apt" })).status).toBe(
    status === 422 ? 202 : 400,
  );
});

test("a name that a repo of the type has is taken", async () => {
  await packhouse.call("POST", "/repo", { name, type: "apt" });
  expect((await make()).status).toBe(409);
  expect((await packhouse.call("PUT", at(), { type: "apt", path: site.url })).status).toBe(409);
  expect((await make({ type: "yum" })).status).toBe(201);
});

test("the time of a schedule starts a new sync, also after one that failed", async () => {
  site.faults.set("dists/stable/InRelease", { status: 404 });
  site.faults.set("dists/stable/Release", { status: 404 });
  await make();
  const first = await ended();
  expect(first.state).toBe("failed");
  site.faults.clear();
  const soon = new Date(Date.now() + 1_000).toISOString().slice(0, 19);
  const message = { kind: "resync", type: "apt", name } as const;
  await packhouse.context.schedules.put(`test-${name}`, { expression: `at(${soon})`, message });
  await eventually(async () => ((await get()).body.job.endsWith(first.id) ? undefined : true), "another job");
  expect(await ended()).toMatchObject({ state: "done", commit: 1 });
});

test("a PUT while a sync runs names that one, and what it changed is synced after it", async () => {
  const held = hold("pool/beta_1.0_amd64.deb");
  await make();
  await held.asked;
  const { job } = (await get()).body;
  const changed = await packhouse.call("PUT", at(), { exclude: ["beta"] });
  expect([changed.status, changed.body.job, changed.body.exclude]).toEqual([202, job, ["beta"]]);
  const again = await packhouse.call("PUT", at(), {});
  expect([again.status, again.body.job]).toEqual([202, job]);
  held.letGo();
  await eventually(async () => ((await get()).body.job === job ? undefined : true), "another job");
  expect(await ended()).toMatchObject({ state: "done" });
  const packages = Object.values<{ name: string }>((await get("/packages")).body);
  expect(packages.map((one) => one.name)).toEqual(["alpha"]);
});

test("a sync of an upstream that was removed meanwhile ends, and the name is free", async () => {
  const held = hold("pool/beta_1.0_amd64.deb");
  await make({ schedule: "rate(1 day)" });
  await held.asked;
  const { job } = (await get()).body;
  expect((await packhouse.call("DELETE", at())).status).toBe(200);
  expect((await get()).status).toBe(404);
  held.letGo();
  expect(["done", "failed"]).toContain((await packhouse.call("GET", `${job}?wait=25`)).body.state);
  expect((await packhouse.call("GET", "/upstream")).body).not.toHaveProperty(name);
  expect((await packhouse.call("POST", "/repo", { name, type: "apt" })).status).toBe(201);
});

test("its commits are told in pages, one by one, and how two differ", async () => {
  await make();
  await ended();
  site.remove("beta_1.0_amd64.deb");
  site.remove("alpha_1.0_amd64.deb");
  site.add("alpha_1.1_amd64.deb", deb("alpha", "1.1"));
  site.add("gamma_1.0_amd64.deb", deb("gamma"));
  site.index();
  await packhouse.call("PUT", at(), {});
  expect(await ended()).toMatchObject({ state: "done", commit: 2 });
  const commits = (await get("/commits")).body;
  expect(commits.map((one: { number: number }) => one.number)).toEqual([2, 1, 0]);
  expect((await get("/commits?before=2")).body.map((one: { number: number }) => one.number)).toEqual([1, 0]);
  expect((await get("/commits/2/")).body).toEqual(commits[0]);
  expect((await get("/commits/3")).status).toBe(404);
  expect((await get("/diff?from=1&to=2")).body).toMatchObject({
    from: 1,
    to: 2,
    added: [{ name: "gamma" }],
    removed: [{ name: "beta" }],
    upgraded: [{ from: { version: "1.0" }, to: { version: "1.1" } }],
    downgraded: [],
  });
  expect((await get("/diff?from=1&to=9")).status).toBe(404);
  expect((await get("/diff?from=1")).status).toBe(400);
  expect((await packhouse.call("GET", `/upstream/nobody/diff?from=0&to=1`)).status).toBe(404);
});
