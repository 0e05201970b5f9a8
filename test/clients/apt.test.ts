import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;
const README = "/usr/share/doc/hello/README";
const hello = deb({ Package: "hello", Version: "1:2.10-3" }, { files: { [README]: "first\n" } });
const newer = deb({ Package: "hello", Version: "1:2.10-3+b1" }, { files: { [README]: "second\n" } });
const needy = deb({ Package: "needy", Depends: "hello (>= 1:2)" });
const extra = deb({ Package: "extra", Depends: "hello" });

beforeAll(async () => {
  site = await openSite("apt");
  await Promise.all([
    site.repo("tools", "apt", { accepts: ["hello/*/1/*", "needy/*/1/*"] }),
    site.repo("extras", "apt", {
      accepts: [{ path: "extra/*/*/*", component: "non-free/more" }],
      suite: "rolling/updates",
      components: ["non-free/more"],
    }),
    site.repo("releases", "apt", { accepts: [{ path: "hello/*/*/*", suite: "{release}" }] }),
  ]);
  await site.publish(hello);
  await Promise.all([site.publish(needy), site.publish(extra)]);
});

afterAll(() => site.close());

const ready = async (repo: string) => ({ sources: (await site.read(`/apt/${repo}/packhouse.sources`)).toString() });

async function line(repo: string, rest = "stable main", address = repo): Promise<string> {
  const key = await site.bench.file(`keys/${repo}.asc`, await site.read(`/apt/${repo}/key.asc`));
  return `deb [signed-by=${key}] ${site.packhouse.url}/apt/${address} ${rest}\n`;
}

const throughProxy = () => ({ settings: [`Acquire::http::Proxy "${site.proxy.url}"`] });

describe("apt", () => {
  test("sees and installs from packhouse.sources, used as it comes", async () => {
    const apt = await openApt(site.bench, "ready", await ready("tools"));
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1:2.10-3", "needy=1.0-1"]);
    const installed = await apt.run("apt-get", "install", "--yes", "needy");
    expect(installed.output).not.toMatch(/^[EW]:/m);
    expect(await readFile(join(apt.root, README), "utf8")).toBe("first\n");
    expect(await readFile(join(apt.root, "var/lib/dpkg/status"), "utf8")).toMatch(
      /Package: hello\nStatus: install ok installed/,
    );
    const fetched = await readFile(join(apt.archives, "hello_1%3a2.10-3_all.deb"));
    expect(fetched.equals(hello.bytes)).toBe(true);
  });

  test("sees the same by a one-line source that names key.asc", async () => {
    const apt = await openApt(site.bench, "line", { list: await line("tools") });
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1:2.10-3", "needy=1.0-1"]);
  });

  test("sees the same by key.gpg", async () => {
    const key = await site.bench.file("keys/tools.gpg", await site.read("/apt/tools/key.gpg"));
    const list = `deb [signed-by=${key}] ${site.packhouse.url}/apt/tools stable main\n`;
    const apt = await openApt(site.bench, "binary-key", { list });
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1:2.10-3", "needy=1.0-1"]);
  });

  test("asks for nothing but InRelease and indexes by their hash, and for nothing anew while nothing changed", async () => {
    const apt = await openApt(site.bench, "by-hash", await ready("tools"), throughProxy());
    site.proxy.seen.length = 0;
    await apt.update();
    expect(site.proxy.seen).toEqual([
      "200 /apt/tools/dists/stable/InRelease",
      expect.stringMatching(/^200 \/apt\/tools\/dists\/stable\/main\/binary-amd64\/by-hash\/SHA256\/[0-9a-f]{64}$/),
    ]);
    site.proxy.seen.length = 0;
    await apt.update();
    expect(site.proxy.seen).toEqual(["304 /apt/tools/dists/stable/InRelease"]);
  });

  test("that takes no index by hash finds it by its plain name", async () => {
    const apt = await openApt(site.bench, "plain", await ready("tools"), { settings: [`Acquire::By-Hash "no"`] });
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1:2.10-3", "needy=1.0-1"]);
  });

  test("without InRelease takes Release and Release.gpg", async () => {
    const apt = await openApt(site.bench, "detached", await ready("tools"), throughProxy());
    site.proxy.tamper = (path) => (path.endsWith("/InRelease") ? "missing" : undefined);
    const { output } = await apt.tryUpdate();
    site.proxy.tamper = undefined;
    expect(output).not.toMatch(/^(?:E|W|Err)[:\d]/m);
    expect(site.proxy.seen).toContain("200 /apt/tools/dists/stable/Release.gpg");
    expect(await apt.visible()).toEqual(["hello=1:2.10-3", "needy=1.0-1"]);
  });

  test("takes a dependency from another repo, from a suite and a component with slashes", async () => {
    const list = (await line("tools")) + (await line("extras", "rolling/updates non-free/more"));
    const apt = await openApt(site.bench, "two", { list });
    await apt.update();
    expect(await apt.visible()).toEqual(["extra=1.0-1", "hello=1:2.10-3", "needy=1.0-1"]);
    const installed = await apt.run("apt-get", "install", "--yes", "extra");
    expect(installed.output).toMatch(/Setting up extra/);
    expect(await readFile(join(apt.root, README), "utf8")).toBe("first\n");
  });

  test("sees suite and component with slashes by packhouse.sources too", async () => {
    const apt = await openApt(site.bench, "ready-slashes", await ready("extras"));
    await apt.update();
    expect(await apt.visible()).toEqual(["extra=1.0-1"]);
  });

  test("sees in each suite named after a release what was uploaded for it", async () => {
    await site.publish(hello, "bookworm");
    await site.publish(newer, "trixie");
    for (const [suite, seen] of [
      ["bookworm", ["hello=1:2.10-3"]],
      ["trixie", ["hello=1:2.10-3+b1"]],
    ] as const) {
      const apt = await openApt(site.bench, suite, { list: await line("releases", `${suite} main`) });
      await apt.update();
      expect(await apt.visible()).toEqual(seen);
    }
  });

  test("upgrades to a version that came since, while the commit before stays readable under its number", async () => {
    await site.repo("moving", "apt", { accepts: ["hello/*/moving/*"] });
    await site.publish(hello, "moving");
    const before = (await site.packhouse.call("GET", "/repo/moving")).body.published_commit;
    const apt = await openApt(site.bench, "upgrade", await ready("moving"));
    await apt.update();
    await apt.run("apt-get", "install", "--yes", "hello");
    await site.publish(newer, "moving");
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1:2.10-3", "hello=1:2.10-3+b1"]);
    expect((await apt.run("apt-get", "upgrade", "--yes")).output).toMatch(/Setting up hello \(1:2\.10-3\+b1\)/);
    expect(await readFile(join(apt.root, README), "utf8")).toBe("second\n");

    const past = await openApt(site.bench, "past", { list: await line("moving", "stable main", `moving@${before}`) });
    await past.update();
    expect(await past.visible()).toEqual(["hello=1:2.10-3"]);
    expect((await past.run("apt-get", "install", "--yes", "hello")).output).toMatch(/Setting up hello \(1:2\.10-3\)/);
  });

  test("of a new repo that is still empty updates without a complaint", async () => {
    await site.repo("empty", "apt", { accepts: [] });
    const apt = await openApt(site.bench, "empty", await ready("empty"));
    await apt.update();
    expect(await apt.visible()).toEqual([]);
  });
});
