import { afterAll, beforeAll, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { smallKey } from "../support/small-key.ts";
import { changesOf, type NamedBytes, sourcePackage } from "../support/sources.ts";
import { heldBy, jobIn, LEVEL, send } from "../support/surface-changes.ts";
import { sha256 } from "../support/surface-requests.ts";

const [DSC, ...TARS] = sourcePackage() as [NamedBytes, ...NamedBytes[]];
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
  const made = await packhouse.call("POST", "/repo", { ...(await smallKey()), name: "by-hand", type: "apt" });
  expect(made.status).toBe(201);
});
afterAll(() => packhouse.remove());

const add = (hash: string) => packhouse.call("PATCH", "/repo/by-hand/packages", { add: { [hash]: {} } });

test("a source package is put into a repo by the hash of its .dsc when all of it is here, and not before", async () => {
  const job = await send(packhouse, DSC);
  await jobIn(packhouse, job, "waiting");
  const early = await add(sha256(DSC.bytes));
  expect([early.status, early.body.unknown?.sort()]).toEqual([422, TARS.map(({ bytes }) => sha256(bytes)).sort()]);
  expect(early.body.detail).toMatch(/^hello_1\.0-1\.dsc names files that are not known here: hello_1\.0/);
  await Promise.all(TARS.map((file) => send(packhouse, file)));
  await jobIn(packhouse, job, "done");
  expect((await add(sha256(DSC.bytes))).status).toBe(200);
  expect((await heldBy(packhouse, "by-hand")).held).toEqual([DSC.name]);
  const sources = await fetch(`${packhouse.url}/apt/by-hand@latest/source/${sha256(DSC.bytes)}/${TARS[0]?.name}`);
  expect(sha256(Buffer.from(await sources.arrayBuffer()))).toBe(sha256(TARS[0]?.bytes ?? ""));
});

test("a .changes is no package of an apt repo, and tells its files", async () => {
  const changes = changesOf([DSC, ...TARS]);
  await jobIn(packhouse, await send(packhouse, changes), "done");
  const { status, body } = await add(sha256(changes.bytes));
  expect([status, body.detail]).toEqual([422, expect.stringContaining("is a changes: an apt repo cannot hold it")]);
  const about = await packhouse.call("GET", `/package/${sha256(changes.bytes)}`);
  expect(about.body).toMatchObject({ format: "changes", name: "hello", version: "1.0-1" });
  expect(about.body.files.map(({ name }: { name: string }) => name)).toEqual([DSC, ...TARS].map(({ name }) => name));
});

test("a .changes that is removed holds back no more what it named", async () => {
  const native = sourcePackage({ name: "nativelab", version: "2.0", format: "3.0 (native)" });
  const changes = changesOf(native, { source: "nativelab", version: "2.0" });
  await jobIn(packhouse, await send(packhouse, changes), "waiting");
  const gone = await packhouse.call("DELETE", `/packages/${LEVEL}/${changes.name}`);
  expect(gone.status).toBe(204);
  for (const file of native) await jobIn(packhouse, await send(packhouse, file), "done", "waiting");
  expect(await packhouse.call("GET", `/packages/${LEVEL}/${native[0]?.name}`)).toMatchObject({ status: 302 });
  await expect.poll(async () => (await add(sha256(native[0]?.bytes ?? ""))).status).toBe(200);
});
