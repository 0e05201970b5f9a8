import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDnf } from "../support/clients-dnf.ts";
import { type BuiltRpm, holding, rpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;
let hello: BuiltRpm;
let newer: BuiltRpm;
let needy: BuiltRpm;
const README = "/usr/share/hello/README";

beforeAll(async () => {
  site = await openSite("dnf");
  const { folder } = site.bench;
  hello = rpm(folder, { name: "hello", ...holding(README, "first") });
  newer = rpm(folder, { name: "hello", version: "2.0-1", ...holding(README, "second") });
  needy = rpm(folder, { name: "needy", preamble: `Requires: ${README}\n` });
  await Promise.all([
    site.repo("tools", "yum", { accepts: ["hello/*/1/*", "needy/*/1/*"] }),
    site.repo("moving", "yum", { accepts: ["hello/*/moving/*"] }),
    site.repo("empty", "yum", { accepts: [] }),
  ]);
  await Promise.all([site.publish(hello), site.publish(needy), site.publish(hello, "moving")]);
});

afterAll(() => site.close());

const ready = async (repo: string) => ({
  [`${repo}.repo`]: (await site.read(`/yum/${repo}/packhouse.repo`)).toString(),
});

const plain = (address: string, key: string) => ({
  "plain.repo": `[plain]\nname=plain\nbaseurl=${site.packhouse.url}/yum/${address}/\nrepo_gpgcheck=1\ngpgcheck=0\ngpgkey=${site.packhouse.url}/yum/${key}/key.asc\n`,
});

describe("dnf", () => {
  test("with packhouse.repo as it comes and a stock dnf.conf installs unsigned packages and what they need", async () => {
    const dnf = await openDnf(site.bench, "ready", await ready("tools"));
    expect(await dnf.query()).toEqual([hello.nevra, needy.nevra]);
    const { code, output } = await dnf.run("install", "needy");
    expect(code, output).toBe(0);
    expect(await readFile(join(dnf.root, README), "utf8")).toBe("first\n");
    const installed = await site.bench.run("rpm", ["--root", dnf.root, "-qa"]);
    expect(installed.output.trim().split("\n").sort()).toEqual(["hello-1.0-1.noarch", "needy-1.0-1.noarch"]);
  });

  test("reads one overwritten file, and all else at the commit that this names", async () => {
    const dnf = await openDnf(site.bench, "asked", await ready("tools"), { settings: { proxy: site.proxy.url } });
    site.proxy.seen.length = 0;
    await dnf.query();
    const commit = (await site.packhouse.call("GET", "/repo/tools")).body.published_commit;
    const asked = [...new Set(site.proxy.seen.map((line) => line.replace(/[0-9a-f]{64}/, "HASH")))].sort();
    expect(asked).toEqual([
      "200 /yum/tools/key.asc",
      "200 /yum/tools/mirrorlist",
      `200 /yum/tools@${commit}/repodata/HASH-filelists.xml.gz`,
      `200 /yum/tools@${commit}/repodata/HASH-primary.xml.gz`,
      `200 /yum/tools@${commit}/repodata/repomd.xml`,
      `200 /yum/tools@${commit}/repodata/repomd.xml.asc`,
    ]);
  });

  test("finds the same by a plain baseurl", async () => {
    const dnf = await openDnf(site.bench, "plain", plain("tools", "tools"));
    expect(await dnf.query()).toEqual([hello.nevra, needy.nevra]);
    const { code, output } = await dnf.run("install", "hello");
    expect(code, output).toBe(0);
    expect(await readFile(join(dnf.root, README), "utf8")).toBe("first\n");
  });

  test("of a new repo that is still empty reads its metadata and finds nothing", async () => {
    const dnf = await openDnf(site.bench, "empty", await ready("empty"));
    expect(await dnf.query()).toEqual([]);
    expect((await dnf.run("makecache", "--refresh")).output).toMatch(/Metadata cache created/);
  });

  test("takes packages of two repos, each with its own key", async () => {
    const dnf = await openDnf(site.bench, "two", { ...(await ready("tools")), ...(await ready("empty")) });
    expect(await dnf.query()).toEqual([hello.nevra, needy.nevra]);
  });

  test("sees and upgrades to a new package, without being told to, once its metadata is a minute old; the commit before stays readable", async () => {
    const before = (await site.packhouse.call("GET", "/repo/moving")).body.published_commit;
    const dnf = await openDnf(site.bench, "moving", await ready("moving"));
    expect(await dnf.query()).toEqual([hello.nevra]);
    await dnf.run("install", "hello");
    await site.publish(newer, "moving");
    expect(await dnf.query()).toEqual([hello.nevra]);
    await dnf.age(61);
    expect(await dnf.query()).toEqual([hello.nevra, newer.nevra]);
    await dnf.run("upgrade");
    expect(await readFile(join(dnf.root, README), "utf8")).toBe("second\n");

    const past = await openDnf(site.bench, "past", plain(`moving@${before}`, "moving"));
    expect(await past.query()).toEqual([hello.nevra]);
    const { code, output } = await past.run("install", "hello");
    expect(code, output).toBe(0);
    expect(await readFile(join(past.root, README), "utf8")).toBe("first\n");
  });
});
