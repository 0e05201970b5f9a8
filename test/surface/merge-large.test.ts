import { expect, test } from "vitest";
import { headOf } from "../../shared/commit.ts";
import { runPackagesJob } from "../../shared/job/run-packages.ts";
import { type DiscoveryApp, discoveryApp } from "../support/discovery-app.ts";
import { debEntry, hold, newRepo } from "../support/memory-sets.ts";

const MOST = 20_000;

async function sourcesOf(app: DiscoveryApp, sizes: readonly number[]) {
  const named = [];
  for (const [index, size] of sizes.entries()) {
    const source = await newRepo(app.ctx, "apt", `source-${index}`);
    const entries = Array.from({ length: size }, (_, number) => debEntry(`p${index}-${number}`));
    await hold(app.ctx, source, entries);
    named.push({ name: source.name, type: "repo" });
  }
  return named;
}

test("sources that hold over 20,000 packages together are merged by a job, in one commit; 20,000 by the request", async () => {
  const app = await discoveryApp();
  const repo = await newRepo(app.ctx, "apt", "tools");
  const sync = await sourcesOf(app, [MOST - 10, 10, 1]);
  const put = (body: object, headers: Record<string, string> = {}) =>
    app.ask("PUT", "/repo/tools/packages", body, headers);

  const small = await put({ sync: sync.slice(0, 2) });
  expect([small.status, small.body]).toEqual([200, { commit: 1, packages: MOST }]);

  expect((await put({ sync }, { "if-match": '"7"' })).status).toBe(412);
  expect((await put({ sync: [...sync, { name: "nobody", type: "repo" }] })).status).toBe(404);
  expect((await headOf(app.ctx, repo)).number).toBe(1);

  const large = await put({ sync }, { "if-match": '"1"' });
  expect([large.status, Object.keys(large.body)]).toEqual([202, ["uri", "job"]]);
  const { job } = large.body;
  expect(app.ctx.sent).toContainEqual({ kind: "packages", job });
  const look = async () => (await app.ask("GET", `/jobs/${job}`)).body;
  expect(await look()).toMatchObject({ state: "queued", repo: "tools" });
  expect((await headOf(app.ctx, repo)).number).toBe(1);
  await runPackagesJob(app.ctx, job);
  const all = MOST + 1;
  expect(await look()).toMatchObject({ state: "done", commit: 2, packages: { done: all, total: all }, errors: [] });
  expect(await headOf(app.ctx, repo)).toMatchObject({ number: 2, count: all });

  // One source is one write, however large.
  const one = await put({ sync: { name: "tools", type: "repo" } });
  expect(one.status).toBe(200);
});
