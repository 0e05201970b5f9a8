import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type DnfClient, openDnf } from "../support/clients-dnf.ts";
import { flipped } from "../support/clients-proxy.ts";
import { type BuiltRpm, holding, rpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;
let hello: BuiltRpm;
const README = "/usr/share/hello/README";

beforeAll(async () => {
  site = await openSite("dnf-tampered");
  hello = rpm(site.bench.folder, { name: "hello", ...holding(README, "hello") });
  await Promise.all([
    site.repo("tools", "yum", { accepts: ["**"] }),
    site.repo("stranger", "yum", { accepts: ["**"] }),
  ]);
  await site.publish(hello);
});

afterAll(() => site.close());
afterEach(() => {
  site.proxy.tamper = undefined;
});

async function client(name: string, repoFile?: string): Promise<DnfClient> {
  const text = repoFile ?? (await site.read("/yum/tools/packhouse.repo")).toString();
  return openDnf(site.bench, name, { "tools.repo": text }, { settings: { proxy: site.proxy.url, retries: "1" } });
}

describe("dnf refuses", () => {
  test.each(["packhouse.repo", "a plain baseurl"])("a repomd.xml that was changed, by %s", async (by) => {
    const ready = (await site.read("/yum/tools/packhouse.repo")).toString();
    const plain = ready.replace(/^mirrorlist=.*$/m, `baseurl=${site.packhouse.url}/yum/tools/`);
    site.proxy.tamper = (path, body) => (path.endsWith("/repomd.xml") ? Buffer.from(`${body}<!-- -->\n`) : undefined);
    const dnf = await client(by.replaceAll(" ", "-"), by === "packhouse.repo" ? ready : plain);
    const { code, output } = await dnf.run("repoquery");
    expect(code).not.toBe(0);
    expect(output).toMatch(/repomd\.xml GPG signature verification error: Bad GPG signature/);
    expect(output).not.toContain(hello.nevra);
  });

  test("a repomd.xml without its signature", async () => {
    site.proxy.tamper = (path) => (path.endsWith("/repomd.xml.asc") ? "missing" : undefined);
    const { code, output } = await (await client("unsigned")).run("repoquery");
    expect(code).not.toBe(0);
    expect(output).not.toContain(hello.nevra);
  });

  test("metadata that another repo's key signed", async () => {
    const [repomd, signature] = await Promise.all(
      ["repomd.xml", "repomd.xml.asc"].map((file) => site.read(`/yum/stranger/repodata/${file}`)),
    );
    site.proxy.tamper = (path) => {
      if (path.endsWith("/repomd.xml")) return repomd;
      return path.endsWith("/repomd.xml.asc") ? signature : undefined;
    };
    const { code, output } = await (await client("foreign")).run("repoquery");
    expect(code).not.toBe(0);
    expect(output).toMatch(/repomd\.xml GPG signature verification error/);
  });

  test("an index with a bit flipped", async () => {
    site.proxy.tamper = (path, body) => (path.endsWith("-primary.xml.gz") ? flipped(body) : undefined);
    const { code, output } = await (await client("index")).run("repoquery");
    expect(code).not.toBe(0);
    expect(output).toMatch(/checksum doesn't match/i);
    expect(output).not.toContain(hello.nevra);
  });

  test("a package with a bit flipped, and installs nothing", async () => {
    const dnf = await client("package");
    site.proxy.tamper = (path, body) => (path.endsWith(".rpm") ? flipped(body) : undefined);
    const { code, output } = await dnf.run("install", "hello");
    expect(code).not.toBe(0);
    expect(output).toMatch(/checksum doesn't match/i);
    expect(existsSync(join(dnf.root, README))).toBe(false);
    site.proxy.tamper = undefined;
    await dnf.run("install", "hello");
    expect(existsSync(join(dnf.root, README))).toBe(true);
  });
});
