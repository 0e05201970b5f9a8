import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";
import { upstreamsOf } from "../support/upstream-sync.ts";

let packhouse: TestPackhouse;
let site: AptSite;
let round = 0;
const upstreams = upstreamsOf(() => packhouse);

const SUITE = "dists/stable";
const INDEX = `${SUITE}/main/binary-amd64/Packages`;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
beforeEach(async () => {
  site = await startAptSite();
  round += 1;
  site.add("alpha_1_amd64.deb", buildDeb({ control: { Package: "alpha", Description: `round ${round}` } }));
  return () => site.close();
});
afterAll(() => packhouse.remove());

const edited = (of: string, change: (text: string) => string) => (index: string) => {
  if (index.endsWith(of)) writeFileSync(index, change(readFileSync(index, "utf8")));
};

/** A sync that is refused for something in an index, before any package was asked for. */
async function expectRefused(message: RegExp, settings: object = {}): Promise<void> {
  const name = await upstreams.make(site.url, settings);
  const job = await upstreams.ended(name);
  expect(job).toMatchObject({ state: "failed" });
  expect(job.errors).toHaveLength(1);
  expect(job.errors[0].message).toMatch(message);
  expect(site.asked().filter((path) => !path.startsWith(`${SUITE}/`))).toEqual([]);
  expect(await upstreams.named(name)).toMatchObject({ commit: 0, packages: 0 });
}

describe("an index that is after more than its packages is refused, naming its stanza:", () => {
  test.each([
    ["a path that leads out", "../../etc/passwd", "it leads out by `..`"],
    ["a path that leads out further on", "pool/../../../etc/passwd", "it leads out by `..`"],
    ["an absolute path", "/etc/passwd", "it is absolute"],
    ["a path with a backslash", "pool\\..\\x.deb", "it has a backslash"],
    ["a path with a control character", "pool/x\u0007.deb", "it has a control character"],
    ["a path that hides its dots", "pool/%2e%2e/%2e%2e/x.deb", "it has a percent-encoded dot"],
    ["an address elsewhere", "http://127.0.0.1:1/x.deb", "it is a URL of its own"],
  ])("%s", async (_, path, reason) => {
    site.add("beta_1_amd64.deb", buildDeb({ control: { Package: "beta" } }));
    site.index({ edit: edited("Packages", (text) => text.replace(/^Filename: .*beta.*$/m, `Filename: ${path}`)) });
    const where = `${site.url}/${INDEX}`.replaceAll(".", "\\.");
    await expectRefused(new RegExp(`^${where}\\.gz: line \\d+: package "beta": the path .* is refused: ${reason}`));
  });

  test.each([
    [
      "a folder of sources that leads out",
      /^Directory: .*$/m,
      "Directory: ../../etc",
      /"lab": the path .* is refused: it leads out/,
    ],
    [
      "a source file that is a path",
      /^( [0-9a-f]{32} \d+ )(\S+\.dsc)$/m,
      "$1../$2",
      /"lab": field files: .* is no "HASH SIZE NAME"/,
    ],
  ])("%s", async (_, from, to, message) => {
    site.addSource({ name: "lab", version: "1.0-1" });
    site.index({ edit: edited("Sources", (text) => text.replace(from, to)) });
    await expectRefused(message, { architectures: ["source"] });
  });

  test("a Release that lists files outside of its folder", async () => {
    site.index();
    const release = join(site.folder, SUITE, "Release");
    writeFileSync(
      release,
      readFileSync(release, "utf8").replaceAll("main/binary-amd64/Packages.xz", "../../../x/Packages.xz"),
    );
    await expectRefused(/Release: field SHA256: .*\.\.\/\.\.\/\.\.\/x\/Packages\.xz" is no "HASH SIZE PATH"/);
  });

  test("an index that unpacks to a thousand times its size", async () => {
    site.index();
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, "\n"));
    writeFileSync(join(site.folder, `${INDEX}.gz`), bomb);
    const release = join(site.folder, SUITE, "Release");
    const line = ` ${sha256Of(bomb)} ${bomb.length} main/binary-amd64/Packages.gz\n`;
    const text = readFileSync(release, "utf8");
    writeFileSync(release, `${text.slice(0, text.indexOf("SHA256:\n"))}SHA256:\n${line}`);
    await expectRefused(/Packages\.gz: more than 500 times as much when decompressed/);
  });
});

describe("credentials in the path", () => {
  const withSecret = () => site.url.replace("http://", "http://someone:se%2Fcret@");
  const SECRET = /se(%2F|\/)cret|c29tZW9uZTpzZS9jcmV0/;

  test("go to that host alone, whoever it redirects to, and are nowhere shown", async () => {
    const other = await startAptSite();
    const sent: [string, string | undefined][] = [];
    try {
      site.index();
      other.add("alpha_1_amd64.deb", readFileSync(join(site.folder, "pool/alpha_1_amd64.deb")));
      site.meanwhile = (path, { headers }, response) => {
        sent.push(["its own", headers.authorization]);
        if (!path.startsWith("pool/")) return false;
        response.writeHead(302, { location: `${other.url}/${path}` }).end();
        return true;
      };
      other.meanwhile = (_, { headers }) => {
        sent.push(["the other", headers.authorization]);
        return false;
      };
      const name = await upstreams.make(withSecret());
      expect(await upstreams.ended(name)).toMatchObject({ state: "done", errors: [] });
      expect(new Set(sent.map((one) => one.join()))).toEqual(
        new Set([`its own,Basic ${Buffer.from("someone:se/cret").toString("base64")}`, "the other,"]),
      );
    } finally {
      await other.close();
    }
  });

  test.each(["pool/alpha_1_amd64.deb", `${SUITE}/Release`, `${INDEX}.gz`])(
    "are not in what is told of a fault of %s",
    async (path) => {
      site.index();
      site.faults.set(path, { status: 200, body: "other" });
      const name = await upstreams.make(withSecret());
      const job = await upstreams.ended(name);
      expect(job.state).toBe("failed");
      const { body: commits } = await packhouse.call("GET", `/upstream/${name}/commits`);
      expect(JSON.stringify([job, commits, await upstreams.named(name)])).not.toMatch(SECRET);
      expect(JSON.stringify(job)).toContain(`${site.url}/${path}`);
    },
  );
});

test("a fault that passes is waited for, and the job tells of it", async () => {
  site.index();
  site.faults.set(`${SUITE}/InRelease`, { status: 503, times: 4 });
  site.meanwhile = (path, request) => {
    if (!path.startsWith("pool/")) return false;
    site.meanwhile = () => false;
    request.socket.resetAndDestroy();
    return true;
  };
  const name = await upstreams.make(site.url);
  const [fault, ...more] = (await upstreams.ended(name)).errors;
  expect(fault).toMatchObject({ url: `${site.url}/${SUITE}/InRelease`, message: expect.stringContaining("got 503") });
  expect(more).toEqual([]);
  expect(await upstreams.ended(name)).toMatchObject({ state: "done", commit: 1 });
});
