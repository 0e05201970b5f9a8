import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { sha256 } from "../support/surface-requests.ts";

const DEB = buildDeb({ control: { Package: "alpha", Version: "1:2.0-1" } });

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

async function find(query: string): Promise<string[]> {
  const { status, body } = await packhouse.call("GET", `/search/?${query}`);
  expect([status, query]).toEqual([200, query]);
  return body.map(({ path }: { path: string }) => path);
}

test("a binary is found by all that is known of it as soon as its job is done, and by its old hash no more once it is replaced", async () => {
  const path = "alpha/debian/bookworm/amd64/alpha.deb";
  expect((await packhouse.upload(`/packages/${path}`, DEB)).state).toBe("done");
  const all = [
    `sha256=${sha256(DEB)}`,
    "version=1:2.0-1&name=alpha",
    "name-has=lph&format=deb",
    "arch=amd64&signed=false",
  ];
  for (const query of all) expect([query, await find(query)]).toEqual([query, [path]]);

  // The same bytes elsewhere need no upload, and are found there too.
  const elsewhere = "alpha-copy/debian/sid/amd64/copy.deb";
  expect((await packhouse.upload(`/packages/${elsewhere}`, DEB)).state).toBe("done");
  expect(await find(`sha256=${sha256(DEB)}`)).toEqual([elsewhere, path]);

  const other = buildDeb({ control: { Package: "alpha", Version: "1:2.0-2" } });
  expect((await packhouse.upload(`/packages/${path}`, other, { force: true })).state).toBe("done");
  expect(await find(`sha256=${sha256(DEB)}`)).toEqual([elsewhere]);
  expect(await find(`sha256=${sha256(other)}`)).toEqual([path]);
  expect(await find("version=1:2.0-2")).toEqual([path]);
});
