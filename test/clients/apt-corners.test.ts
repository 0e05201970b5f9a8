import { randomBytes } from "node:crypto";
import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;
const hello = deb({ Package: "hello", Architecture: "amd64" });

beforeAll(async () => {
  site = await openSite("apt-corners");
  await Promise.all([
    site.repo("tools", "apt", { accepts: ["hello/*/1/*", "broken/*/1/*", "downloaded/*/1/*"] }),
    site.repo("vast", "apt", { accepts: ["vast/*/*/*"] }),
  ]);
  await site.publish(hello);
});

afterAll(() => site.close());

async function client(
  name: string,
  repo: string,
  settings: string[] = [],
  architectures = ["amd64"],
): Promise<AptClient> {
  const sources = (await site.read(`/apt/${repo}/packhouse.sources`)).toString();
  return openApt(site.bench, name, { sources }, { settings, architectures });
}

describe("apt", () => {
  test("with deb-src and an architecture that the repo does not have sees the packages of its own", async () => {
    const key = await site.bench.file("tools.asc", await site.read("/apt/tools/key.asc"));
    const where = `[signed-by=${key}] ${site.packhouse.url}/apt/tools stable main`;
    const list = `deb ${where}\ndeb-src ${where}\n`;
    const apt = await openApt(site.bench, "sources", { list }, { architectures: ["amd64", "i386"] });
    await apt.update();
    expect(await apt.visible()).toContain("hello=1.0-1");
  });

  test("goes on with a download that broke off, from where it ended", async () => {
    const big = deb(
      { Package: "vast-file" },
      { files: { "/x": randomBytes(300_000).toString("hex") }, options: ["-Znone"] },
    );
    await site.publish({ ...big, name: "vast" });
    const apt = await client("resume", "vast", [`Acquire::http::Proxy "${site.proxy.url}"`]);
    await apt.update();
    const part = join(apt.archives, "partial", "vast-file_1.0-1_all.deb");
    const { headers } = await fetch(`${site.packhouse.url}/apt/vast/${(await apt.show("vast-file")).Filename}`);
    const at = new Date(headers.get("last-modified") ?? "");
    // apt gives what it fetches the server's time, and asks for the rest if that is still the same.
    await writeFile(part, big.bytes.subarray(0, 100_000));
    await utimes(part, at, at);
    site.proxy.seen.length = 0;
    const { output } = await apt.run("apt-get", "install", "--yes", "--download-only", "vast-file");
    expect(output).not.toMatch(/^[EW]:/m);
    expect(site.proxy.seen).toEqual([expect.stringMatching(/^206 \/apt\/vast\/pool\//)]);
    expect((await readFile(join(apt.archives, "vast-file_1.0-1_all.deb"))).equals(big.bytes)).toBe(true);
  });

  test.each(["yes", "no"])("reads an index of several megabytes, by hash: %s", async (byHash) => {
    const text = () => randomBytes(400_000).toString("base64").replace(/.{70}/g, "$&\n ");
    const debs = [1, 2, 3, 4].map((n) => deb({ Package: `vast-${byHash}-${n}`, Description: `vast\n ${text()}` }));
    await Promise.all(debs.map((one) => site.publish({ ...one, name: "vast" })));
    const apt = await client(`vast-${byHash}`, "vast", [`Acquire::By-Hash "${byHash}"`]);
    await apt.update();
    expect(await apt.visible()).toEqual(expect.arrayContaining(debs.map(({ name }) => `${name}=1.0-1`)));
  });

  test("takes a package under the file name that apt-get download gives it", async () => {
    const fields = { Package: "downloaded", Version: "1:2.0-1" };
    await site.publish(deb(fields, { filename: "downloaded_1%3a2.0-1_all.deb" }));
    const apt = await client("downloaded", "tools");
    await apt.update();
    expect(await apt.visible()).toContain("downloaded=1:2.0-1");
    expect((await apt.run("apt-get", "install", "--yes", "downloaded")).output).toMatch(/Setting up downloaded/);
  });

  test("is not broken by a package whose relations it could not read: no repo takes that", async () => {
    for (const [field, value] of [
      ["Depends", "hello [amd64]"],
      ["Provides", "a b c"],
      ["Breaks", "hello (=1)"],
    ] as const) {
      const broken = deb({ Package: "broken", Version: `1-${field}`, [field]: value });
      const job = await site.packhouse.upload(`/packages/broken/test/1/all/${broken.filename}`, broken.bytes);
      expect(job).toMatchObject({ state: "failed", repos: {}, error: expect.stringContaining(`${field}: `) });
    }
    const apt = await client("broken", "tools");
    await apt.update();
    expect(await apt.visible()).toContain("hello=1.0-1");
  });
});
