import { afterAll, beforeAll, expect, test } from "vitest";
import { appOf } from "../../functions/http/app.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { smallKey } from "../support/small-key.ts";
import { sha256 } from "../support/surface-requests.ts";

const WRITERS = 50;
const debs = Array.from({ length: WRITERS }, (_, index) =>
  buildDeb({ control: { Package: `p${index}`, Version: "1" }, options: ["-Znone"] }),
);
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
  const body = { name: "busy", type: "apt", ...(await smallKey()) };
  expect((await packhouse.call("POST", "/repo", body)).status).toBe(201);
  await Promise.all(
    debs.map((bytes, index) => packhouse.upload(`/packages/p${index}/any/1/amd64/p${index}_1_amd64.deb`, bytes)),
  );
}, 120_000);
afterAll(() => packhouse.remove());

test("fifty writers at once on one repo lose nothing, whether they add or remove", { timeout: 120_000 }, async () => {
  const path = "/repo/busy/packages";
  // Another process: those of one take turns, so that only two race for a commit.
  const other = appOf(() => elsewhere);
  const elsewhere = { ...packhouse.context };
  const headers = { authorization: `Bearer ${packhouse.folder.rootToken}`, "content-type": "application/json" };
  let number = 0;
  const patch = async (body: object) => {
    number += 1;
    if (number % 2 === 0) return packhouse.call("PATCH", path, body);
    const answer = await other.request(path, { method: "PATCH", headers, body: JSON.stringify(body) });
    return { status: answer.status, body: await answer.json() };
  };
  const added = await Promise.all(debs.map((bytes) => patch({ add: { [sha256(bytes)]: {} } })));
  expect(added.map(({ status }) => status)).toEqual(debs.map(() => 200));
  // Each had its own commit.
  expect(new Set(added.map(({ body }) => body.commit)).size).toBe(WRITERS);
  expect(Object.keys((await packhouse.call("GET", path)).body).sort()).toEqual(debs.map(sha256).sort());

  const [gone, kept] = [debs.slice(0, WRITERS / 2), debs.slice(WRITERS / 2)];
  const places = [{ suite: "next", component: "main" }];
  const answers = await Promise.all([
    ...gone.map((bytes) => patch({ remove: [sha256(bytes)] })),
    ...kept.map((bytes) => patch({ add: { [sha256(bytes)]: { places } } })),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(debs.map(() => 200));
  const { body } = await packhouse.call("GET", path);
  expect(Object.keys(body).sort()).toEqual(kept.map(sha256).sort());
  for (const one of Object.values<{ places: unknown[] }>(body)) expect(one.places).toHaveLength(2);
});
