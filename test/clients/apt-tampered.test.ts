import { existsSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { flipped } from "../support/clients-proxy.ts";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;
const hello = deb({ Package: "hello" }, { files: { "/usr/bin/hello": "#!/bin/sh\n" } });
const later = deb({ Package: "later" });

beforeAll(async () => {
  site = await openSite("apt-tampered");
  await Promise.all([
    site.repo("tools", "apt", { accepts: ["**"] }),
    site.repo("stranger", "apt", { accepts: ["**"] }),
  ]);
  await site.publish(hello);
});

afterAll(() => site.close());
afterEach(() => {
  site.proxy.tamper = undefined;
});

async function client(name: string): Promise<AptClient> {
  const sources = (await site.read("/apt/tools/packhouse.sources")).toString();
  return openApt(site.bench, name, { sources }, { settings: [`Acquire::http::Proxy "${site.proxy.url}"`] });
}

describe("apt refuses", () => {
  test("an InRelease in which a word was changed, and sees nothing", async () => {
    site.proxy.tamper = (path, body) =>
      path.endsWith("/InRelease") ? Buffer.from(body.toString().replace("Origin: tools", "Origin: fools")) : undefined;
    const apt = await client("inrelease");
    expect((await apt.tryUpdate()).output).toMatch(/invalid: BADSIG/);
    expect(await apt.visible()).toEqual([]);
  });

  test("an InRelease that another repo's key signed", async () => {
    const foreign = await site.read("/apt/stranger/dists/stable/InRelease");
    site.proxy.tamper = (path) => (path.endsWith("/InRelease") ? foreign : undefined);
    const apt = await client("foreign");
    expect((await apt.tryUpdate()).output).toMatch(/NO_PUBKEY/);
    expect(await apt.visible()).toEqual([]);
  });

  test("a Release that was changed beside its Release.gpg", async () => {
    site.proxy.tamper = (path, body) => {
      if (path.endsWith("/InRelease")) return "missing";
      return path.endsWith("/Release") ? Buffer.from(`${body}\n`) : undefined;
    };
    const apt = await client("release");
    expect((await apt.tryUpdate()).output).toMatch(/invalid: BADSIG/);
    expect(await apt.visible()).toEqual([]);
  });

  test("an index with a bit flipped, and sees nothing", async () => {
    site.proxy.tamper = (path, body) => (path.includes("/by-hash/") ? flipped(body) : undefined);
    const apt = await client("index");
    expect((await apt.tryUpdate()).output).toMatch(/Hash Sum mismatch/);
    expect(await apt.visible()).toEqual([]);
  });

  test("an index that somebody else made", async () => {
    site.proxy.tamper = (path, body) =>
      path.includes("/by-hash/")
        ? gzipSync(gunzipSync(body).toString().replace("Package: hello", "Package: jello"))
        : undefined;
    const apt = await client("other-index");
    expect((await apt.tryUpdate()).output).toMatch(/Hash Sum mismatch|unexpected size/);
    expect(await apt.visible()).toEqual([]);
  });

  test("a package with a bit flipped, and installs nothing", async () => {
    const apt = await client("package");
    await apt.update();
    site.proxy.tamper = (path, body) => (path.endsWith(".deb") ? flipped(body) : undefined);
    const refused = await apt.run("apt-get", "install", "--yes", "hello");
    expect(refused.output).toMatch(/Hash Sum mismatch/);
    expect(existsSync(join(apt.root, "usr/bin/hello"))).toBe(false);
    site.proxy.tamper = undefined;
    expect((await apt.run("apt-get", "install", "--yes", "hello")).output).toMatch(/Setting up hello/);
  });

  test("to go back to an InRelease of before", async () => {
    const old = await site.read("/apt/tools/dists/stable/InRelease");
    const apt = await client("replay");
    await site.publish(later);
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1.0-1", "later=1.0-1"]);
    site.proxy.tamper = (path) => (path.endsWith("/InRelease") ? old : undefined);
    await apt.tryUpdate();
    expect(await apt.visible()).toEqual(["hello=1.0-1", "later=1.0-1"]);
  });
});
