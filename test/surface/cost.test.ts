import { afterAll, beforeAll, expect, test } from "vitest";
import { appOf } from "../../functions/http/app.ts";
import { commitDelta } from "../../shared/commit.ts";
import { publishRepo } from "../../shared/publication/publish.ts";
import { findRepo } from "../../shared/repo/repo.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { packageEntry } from "../support/memory-repos.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type Counted, counted, countsOf } from "../support/surface-cost.ts";
import { announced, sha256 } from "../support/surface-requests.ts";

const DEB = buildDeb();
const FOLDER = "/packages/lab/debian/bookworm/amd64";
let packhouse: TestPackhouse;
let cost: Counted;
let ask: (method: string, path: string, body?: unknown) => Promise<{ status: number; body: string }>;

beforeAll(async () => {
  packhouse = await startPackhouse();
  cost = counted(packhouse.context);
  const app = appOf(() => cost.ctx);
  const headers = { authorization: `Bearer ${packhouse.folder.rootToken}`, "content-type": "application/json" };
  ask = async (method, path, body) => {
    const answer = await app.request(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.text() };
  };
  await packhouse.upload(`${FOLDER}/lab_1.0-1_amd64.deb`, DEB);
  // The token is warm from here on.
  await ask("GET", "/");
  cost.calls();
});
afterAll(() => packhouse.remove());

test("a page of a listing is one query", async () => {
  for (const path of ["/packages/", "/packages/lab", "/packages/lab/debian/bookworm", FOLDER]) {
    expect((await ask("GET", path)).status).toBe(200);
    expect([path, cost.calls()]).toEqual([path, ["table.query"]]);
  }
});

test("a download is one read, and none of the store", async () => {
  expect((await ask("GET", `${FOLDER}/lab_1.0-1_amd64.deb`)).status).toBe(302);
  expect(cost.calls()).toEqual(["table.get"]);
});

test("asking for an upload costs at most two reads and one write of the table, once its levels are there", async () => {
  for (const terms of [{}, announced(Buffer.from("new bytes")), announced(DEB)]) {
    const name = `${sha256(JSON.stringify(terms)).slice(0, 8)}.deb`;
    expect((await ask("POST", FOLDER, { name, ...terms })).status).toBe(200);
    const calls = cost.calls();
    const table = calls.filter((call) => call.startsWith("table."));
    const reads = table.filter((call) => /\.(?:get|getMany|query)$/.test(call));
    expect(reads.length).toBeLessThanOrEqual(2);
    expect(table.length - reads.length).toBe(1);
    // Of the store nothing is asked: an address is signed without it.
    expect(calls.filter((call) => call.startsWith("objects.") && call !== "objects.presignUpload")).toEqual([]);
    expect(calls.filter((call) => call.startsWith("queues.")).length).toBeLessThanOrEqual(2);
  }
});

test("a warm token costs nothing, a wrong one a read", async () => {
  await ask("GET", "/");
  expect(cost.calls()).toEqual([]);
  const wrong = await appOf(() => cost.ctx).request("/", { headers: { authorization: "Bearer wrong" } });
  expect(wrong.status).toBe(401);
  expect(cost.calls()).toEqual(["table.get"]);
});

// The repo is read twice: behind its head too, since a change of its keys may have come between.
const IN_BOTH = { "table.get": 4, "table.query": 1, "table.put": 2, "objects.putPointer": 3 };

test.each([
  // Of the files that clients read 3 are rewritten. Joined is one index in apt, three in yum.
  ["apt", { ...IN_BOTH, "objects.headPointer": 6, "objects.getBlob": 2, "objects.putBlob": 5 }],
  ["yum", { ...IN_BOTH, "objects.headPointer": 7, "objects.getBlob": 4, "objects.putBlob": 7 }],
] as const)(
  "the publication of one package more in an %s repo, by who published it before, asks for no more than counted here",
  async (type, most) => {
    expect((await packhouse.call("POST", "/repo", { name: `cost-${type}`, type })).status).toBe(201);
    const ref = { type, name: `cost-${type}` };
    const add = async (name: string) => {
      const repo = await findRepo(packhouse.context, ref);
      if (!repo) throw new Error("the repo is gone");
      const put = [{ entry: packageEntry(type, name), replace: false }];
      await commitDelta(packhouse.context, repo, { put, remove: [] }, { by: "somebody", message: "add" });
    };
    await add("first");
    await publishRepo(cost.ctx, ref);
    await add("second");
    cost.calls();
    await publishRepo(cost.ctx, ref);
    const limits: Record<string, number> = most;
    const counts = Object.entries(countsOf(cost.calls()));
    expect(counts.filter(([call, count]) => count > (limits[call] ?? 0))).toEqual([]);

    // Where nothing is new, nothing is written.
    await publishRepo(cost.ctx, ref);
    expect(cost.calls().filter((call) => /put|update|delete/.test(call))).toEqual([]);
  },
);
