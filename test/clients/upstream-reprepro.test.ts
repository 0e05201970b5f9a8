import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { makeKey, openReprepro, type Reprepro } from "../support/upstream-reprepro.ts";
import { upstreamsOf } from "../support/upstream-sync.ts";

let site: Site;
let upstream: Reprepro;
let apt: AptClient;
const upstreams = upstreamsOf(() => site.packhouse);
const README = "usr/share/doc/hello/README";
const EVERYTHING = { architectures: ["amd64", "source"] };

beforeAll(async () => {
  site = await openSite("reprepro");
  upstream = await openReprepro(site.bench);
  await upstream.includeDeb({ Package: "hello", Version: "1:1.0+a~b-1" }, { [README]: "first\n" });
  await upstream.includeDeb({ Package: "needy", Architecture: "all", Depends: "hello" });
  await upstream.includeSource("lab", "1:1.0-1", "first\n");
});
afterAll(async () => {
  await site.bench.run("gpgconf", ["--kill", "all"]);
  await Promise.all([upstream.close(), site.close()]);
});

describe("a repo that follows an upstream made by reprepro", () => {
  let name: string;
  let repo: string;

  /** The follower has the upstream's newest commit, and clients are told. */
  async function followed(): Promise<void> {
    const { commit } = await upstreams.ended(name);
    const { tree } = (await site.packhouse.call("GET", `/upstream/${name}/commits/${commit}`)).body;
    const head = async () => {
      const { body } = await site.packhouse.call("GET", `/repo/${repo}`);
      const at = (await site.packhouse.call("GET", `/repo/${repo}/commits/${body.commit}`)).body;
      return [at.tree, body.published_commit];
    };
    await expect.poll(head, { timeout: 30_000 }).toEqual([tree, expect.any(Number)]);
    await expect
      .poll(async () => {
        const { body } = await site.packhouse.call("GET", `/repo/${repo}`);
        return body.commit - body.published_commit;
      })
      .toBe(0);
  }

  /** What apt-get unpacks into `unpacked`. */
  const source = (of: string) =>
    site.bench.run("sh", [
      "-ec",
      'mkdir -p "$1/unpacked"; cd "$1/unpacked"; APT_CONFIG="$2" apt-get source "$3"',
      "sh",
      site.bench.folder,
      apt.config,
      of,
    ]);

  test("has its packages, which real apt installs", async () => {
    name = await upstreams.make(upstream.url, { ...EVERYTHING, key: upstream.key });
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", errors: [] });
    expect(await upstreams.names(name)).toEqual(["hello", "lab", "needy"]);
    repo = await upstreams.repoOf(name, { follow: name });
    await followed();
    const key = await site.bench.file("key.asc", await site.read(`/apt/${repo}/key.asc`));
    const place = `[signed-by=${key}] ${site.packhouse.url}/apt/${repo} stable main\n`;
    apt = await openApt(site.bench, "apt", { list: `deb ${place}deb-src ${place}` });
    await apt.update();
    expect(await apt.visible()).toEqual(["hello=1:1.0+a~b-1", "needy=1.0-1"]);
    const { code, output } = await apt.run("apt-get", "install", "--yes", "needy");
    expect([code, output]).toEqual([0, expect.not.stringMatching(/^[EW]:/m)]);
    expect(await readFile(join(apt.root, README), "utf8")).toBe("first\n");
  });

  test("gives its sources to apt-get source, which unpacks them", async () => {
    const { code, output } = await source("lab");
    expect([code, output]).toEqual([0, expect.not.stringMatching(/^E:/m)]);
    expect(readFileSync(join(site.bench.folder, "unpacked", "lab-1.0/README"), "utf8")).toBe("first\n");
  });

  test("follows what came and went", async () => {
    await upstream.includeDeb({ Package: "hello", Version: "1:2.0" }, { [README]: "second\n" });
    await upstream.includeDeb({ Package: "fresh" });
    await upstream.includeSource("lab", "1:2.0-1", "second\n");
    await upstream.remove("needy");
    await upstreams.again(name);
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", commit: 2, errors: [] });
    await followed();
    await apt.update();
    expect(await apt.visible()).toEqual(["fresh=1.0-1", "hello=1:2.0"]);
    expect((await apt.run("apt-get", "install", "--yes", "hello")).code).toBe(0);
    expect(await readFile(join(apt.root, README), "utf8")).toBe("second\n");
    expect((await source("lab")).code).toBe(0);
    expect(readFileSync(join(site.bench.folder, "unpacked", "lab-2.0/README"), "utf8")).toBe("second\n");
  });

  test("is not told of anything where nothing is new, at the cost of one request", async () => {
    const { body: before } = await site.packhouse.call("GET", `/repo/${repo}`);
    upstream.asked();
    await upstreams.again(name);
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", commit: 2 });
    expect(upstream.asked()).toEqual(["dists/stable/InRelease"]);
    const { body: after } = await site.packhouse.call("GET", `/repo/${repo}`);
    expect([after.commit, after.published_commit]).toEqual([before.commit, before.published_commit]);
  });
});

describe("an upstream made by reprepro and damaged since is refused, and its last commit stays:", () => {
  const SUITE = "dists/stable";
  const INDEX = `${SUITE}/main/binary-amd64/Packages.gz`;
  const at = (path: string) => join(upstream.folder, path);
  const pool = () => readdirSync(at("pool/main/h/hello")).find((one) => one.startsWith("hello_3")) ?? "none";

  /** The Release without what matches; signed as before. */
  async function rewriteRelease(change: (text: string) => string): Promise<void> {
    writeFileSync(at(`${SUITE}/Release`), change(readFileSync(at(`${SUITE}/Release`), "utf8")));
    await upstream.sign();
  }

  const damages: [string, () => Promise<void> | void, RegExp][] = [
    [
      "an index with other bytes of the same length",
      () => {
        const bytes = readFileSync(at(INDEX));
        bytes.writeUInt8(bytes.readUInt8(20) ^ 0xff, 20);
        writeFileSync(at(INDEX), bytes);
      },
      /Packages\.gz: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}/,
    ],
    [
      "an index that is cut off",
      () => writeFileSync(at(INDEX), readFileSync(at(INDEX)).subarray(0, 100)),
      /Packages\.gz: expected \d+ bytes, got 100/,
    ],
    [
      "an index that its hash names, and that is no index",
      () => {
        const wrong = gzipSync("This is no index\n");
        writeFileSync(at(INDEX), wrong);
        const sha256 = createHash("sha256").update(wrong).digest("hex");
        return rewriteRelease((text) =>
          text.replace(
            /^ [0-9a-f]{64} \d+ main\/binary-amd64\/Packages\.gz$/m,
            ` ${sha256} ${wrong.length} main/binary-amd64/Packages.gz`,
          ),
        );
      },
      /Packages\.gz: line 1: "This is no index" is no "Field: value"/,
    ],
    [
      "a package with other bytes",
      () => writeFileSync(at(`pool/main/h/hello/${pool()}`), "other"),
      /hello_3\S*: expected \d+ bytes, got 5/,
    ],
    ["a package that is gone", () => rmSync(at(`pool/main/h/hello/${pool()}`)), /hello_3\S*: expected 200, got 404/],
    [
      "a signature by another key",
      () => upstream.sign("stranger@lab.test"),
      /InRelease: no good signature by the key given/,
    ],
    [
      "a text that was changed after it was signed",
      () =>
        writeFileSync(
          at(`${SUITE}/InRelease`),
          readFileSync(at(`${SUITE}/InRelease`), "utf8").replace("Label: Lab", "Label: Mal"),
        ),
      /InRelease: no good signature by the key given/,
    ],
    [
      "a Release without any signature",
      () => {
        rmSync(at(`${SUITE}/InRelease`));
        rmSync(at(`${SUITE}/Release.gpg`));
      },
      /Release\.gpg: expected 200, got 404/,
    ],
    [
      "a Release beside the signature of another",
      () => {
        rmSync(at(`${SUITE}/InRelease`));
        writeFileSync(
          at(`${SUITE}/Release`),
          readFileSync(at(`${SUITE}/Release`), "utf8").replace("Label: Lab", "Label: Mal"),
        );
      },
      /Release: no good signature by the key given/,
    ],
    [
      "a Release that does not list the index",
      () => rewriteRelease((text) => text.replace(/^ .*binary-amd64\/Packages.*\n/gm, "")),
      /Release: no index of architecture amd64; there are: source/,
    ],
    [
      "a Release without SHA-256",
      () => rewriteRelease((text) => text.replace(/^SHA256:\n( .*\n)*/m, "")),
      /Release: field SHA256: it lists no files/,
    ],
  ];

  let name: string;
  beforeAll(async () => {
    await makeKey(site.bench, "stranger@lab.test");
    name = await upstreams.make(upstream.url, { ...EVERYTHING, key: upstream.key });
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", commit: 1 });
  });

  test.each(damages)("%s", async (_, damage, message) => {
    await upstream.includeDeb({ Package: "hello", Version: `1:3.${Date.now()}` });
    await upstream.keep();
    await damage();
    const before = (await upstreams.named(name)).commit;
    await upstreams.again(name);
    const job = await upstreams.ended(name);
    expect(job).toMatchObject({ state: "failed" });
    expect(job.errors.at(-1).message).toMatch(message);
    expect(job.errors.at(-1).url ?? job.errors.at(-1).message).toContain(upstream.url);
    expect(await upstreams.named(name)).toMatchObject({ commit: before, state: "failed" });
    // Mended, it is followed again.
    await upstream.mend();
    await upstreams.again(name);
    expect(await upstreams.ended(name)).toMatchObject({ state: "done", commit: before + 1 });
  });
});
