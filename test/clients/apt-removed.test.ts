import { afterAll, beforeAll, expect, test } from "vitest";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { announced, ended, put } from "../support/surface-requests.ts";

const FIRST = deb({ Package: "hello", Version: "2" });
const DOWN = deb({ Package: "hello", Version: "1.9" });
const OTHER = deb({ Package: "other" });
const PATH = "/packages/hello/test/1/all/hello.deb";
let site: Site;
let apt: AptClient;

beforeAll(async () => {
  site = await openSite("apt-removed");
  await site.repo("tools", "apt", { accepts: ["**"] });
  await site.publish({ ...FIRST, filename: "hello.deb" });
  await site.publish(OTHER);
  apt = await openApt(site.bench, "removed", { sources: (await site.read("/apt/tools/packhouse.sources")).toString() });
});
afterAll(() => site.close());

/** What apt sees when it asks again. */
async function seen(): Promise<string[]> {
  await apt.update();
  return apt.visible();
}

test("apt sees a replaced package under its new version alone, and a deleted one no more", async () => {
  expect(await seen()).toEqual(["hello=2", "other=1.0-1"]);
  const { body } = await site.packhouse.call("PUT", PATH, announced(DOWN.bytes));
  await put(body.upload, DOWN.bytes);
  expect((await ended(site.packhouse, body.job)).state).toBe("done");
  expect(await seen()).toEqual(["hello=1.9", "other=1.0-1"]);
  const fetched = await apt.run("apt-get", "install", "--yes", "hello");
  expect(fetched.output).not.toMatch(/^[EW]:/m);
  expect((await site.packhouse.call("DELETE", PATH)).status).toBe(204);
  await expect.poll(seen, { timeout: 30_000, interval: 1000 }).toEqual(["other=1.0-1"]);
  expect((await site.packhouse.call("DELETE", "/packages/other?recursive=true")).status).toBe(204);
  await expect.poll(seen, { timeout: 30_000, interval: 1000 }).toEqual([]);
});
