import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { commitDelta } from "../../shared/commit.ts";
import { findRepo } from "../../shared/repo/repo.ts";
import { packageEntry } from "../support/memory-repos.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { smallKey } from "../support/small-key.ts";

const COUNT = 2300;
const PATH = "/repo/many/packages";
let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
  expect((await packhouse.call("POST", "/repo", { name: "many", type: "yum", ...(await smallKey()) })).status).toBe(
    201,
  );
  const repo = await findRepo(packhouse.context, { type: "yum", name: "many" });
  if (!repo) throw new Error("the repo is gone");
  const put = Array.from({ length: COUNT }, (_, index) => ({
    entry: packageEntry("yum", `p${index}`),
    replace: false,
  }));
  await commitDelta(packhouse.context, repo, { put, remove: [] }, { by: "somebody", message: "add" });
});
afterAll(() => packhouse.remove());

const next = (headers: Headers) => /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];

async function pagesFrom(url: string): Promise<string[][]> {
  const pages: string[][] = [];
  for (let at: string | undefined = url; at !== undefined; ) {
    const { status, body, headers } = await packhouse.call("GET", at);
    expect(status).toBe(200);
    pages.push(Object.keys(body));
    at = next(headers);
  }
  return pages;
}

test("a map that no response holds comes as a blob, which given back changes nothing", async () => {
  const whole = await packhouse.call("GET", PATH);
  expect(whole.status).toBe(303);
  const location = whole.headers.get("location") ?? "";
  const map = z.record(z.string(), z.unknown()).parse(await (await fetch(location)).json());
  expect(Object.keys(map)).toHaveLength(COUNT);
  const [, hash] = /\/blobs\/..\/([0-9a-f]{64})\//.exec(location) ?? [];
  const put = await packhouse.call("PUT", PATH, { packages_blob: hash });
  expect(put.status).toBe(202);
  const job = (await packhouse.call("GET", `${put.body.uri}?wait=25`)).body;
  expect(job).toMatchObject({ state: "done", commit: 1, packages: { done: COUNT, total: COUNT } });
});

test("pages follow each other by Link, each package once, in the order of hashes; a page's number leads into them", async () => {
  const pages = await pagesFrom(`${PATH}?page=1`);
  expect(pages.map(({ length }) => length)).toEqual([1000, 1000, 300]);
  expect(pages.flat()).toEqual([...new Set(pages.flat())].sort());
  expect(await pagesFrom(`${PATH}?page=2`)).toEqual(pages.slice(1));
  expect(await pagesFrom(`${PATH}?page=9`)).toEqual([[]]);
  expect(await pagesFrom(`${PATH}?after=${pages[0]?.at(-1)}`)).toEqual(pages.slice(1));
});

test("what is asked for by name and architecture is found wherever it lies", async () => {
  const named = await packhouse.call("GET", `${PATH}?name=p77`);
  expect(Object.values(named.body)).toMatchObject([{ name: "p77", version: "1", release: "1", epoch: 0, places: [] }]);
  expect((await pagesFrom(`${PATH}?arch=noarch`)).map(({ length }) => length)).toEqual([1000, 1000, 300]);
  expect(await pagesFrom(`${PATH}?arch=s390x`)).toEqual([[]]);
  expect(await pagesFrom(`${PATH}?name=p77&arch=s390x`)).toEqual([[]]);
});
