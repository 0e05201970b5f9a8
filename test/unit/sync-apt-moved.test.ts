import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { generateSigningKey, publicKeyArmored, signDetached } from "../../shared/signing/openpgp.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { expectWhole, openSyncBench, type SyncBench } from "../support/sync-memory.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";
import { openFetcher } from "../support/upstream-site.ts";

let site: AptSite;
let bench: SyncBench;

const INDEXES = "dists/stable/main/binary-amd64";
const deb = (Package: string, text = "first") => buildDeb({ control: { Package, Description: text } });

beforeEach(async () => {
  site = await startAptSite();
  bench = openSyncBench(openFetcher({ sleep: async () => {} }));
  site.add("alpha.deb", deb("alpha"));
  site.add("kept.deb", deb("kept"));
  return () => site.close();
});

const made = () => bench.make({ path: site.url, series: ["stable"] });

/** Does something once, when a path is asked for that fits. */
function once(fits: (path: string) => boolean, act: () => void): void {
  site.meanwhile = (path) => {
    if (fits(path)) {
      site.meanwhile = () => false;
      act();
    }
    return false;
  };
}

function replaceContent(options: { byHash?: boolean } = {}): void {
  site.remove("alpha.deb");
  site.add("beta.deb", deb("beta"));
  site.index(options);
}

/** The content as it is now, once, and that the upstream was taken again from its Release for it. */
async function expectNew(restarts = 1): Promise<void> {
  expect(await bench.job()).toMatchObject({ state: "done", commit: 1, restarts });
  expect(await bench.state()).toMatchObject({ number: 1, packages: ["beta_1.0-1", "kept_1.0-1"] });
  await expectWhole(bench);
}

describe("an upstream that is replaced while it is read is taken again from its Release:", () => {
  test("indexes with other bytes than the Release said", async () => {
    site.index();
    once(
      (path) => path.startsWith(INDEXES),
      () => replaceContent(),
    );
    await made();
    await bench.drain();
    await expectNew();
  });

  test("indexes that are gone", async () => {
    site.index();
    once(
      (path) => path.startsWith(INDEXES),
      () => {
        replaceContent();
        // Its new Release lists one file, under a name that the old one did not.
        for (const ending of ["", ".gz"]) rmSync(join(site.folder, `${INDEXES}/Packages${ending}`));
        const release = join(site.folder, "dists/stable/Release");
        writeFileSync(release, readFileSync(release, "utf8").replace(/^ .*Packages(\.gz)?\n/gm, ""));
      },
    );
    await made();
    await bench.drain();
    await expectNew();
  });

  test("indexes that stay under their hashes, whose packages are gone", async () => {
    site.index({ byHash: true });
    once(
      (path) => path.startsWith(INDEXES),
      () => replaceContent({ byHash: true }),
    );
    await made();
    await bench.drain();
    await expectNew();
  });

  test("packages that are gone while they are copied", async () => {
    site.index();
    once(
      (path) => path.startsWith("pool/"),
      () => replaceContent(),
    );
    await made();
    await bench.drain();
    await expectNew();
  });

  test("packages that have other bytes while they are copied", async () => {
    site.index();
    once(
      (path) => path.startsWith("pool/"),
      () => {
        site.add("kept.deb", deb("kept", "second"));
        replaceContent();
      },
    );
    await made();
    await bench.drain();
    await expectNew();
  });

  test.each([1, 3, 6])("once, however many batches find out (%d at once)", async (atOnce) => {
    bench = openSyncBench(openFetcher({ sleep: async () => {} }), { atOnce });
    // What is said to be large goes into batches of its own.
    const large = (index: string) =>
      writeFileSync(index, readFileSync(index, "utf8").replace(/^Size: .*/gm, `Size: ${200 * 1024 * 1024}`));
    for (const name of ["gone-1", "gone-2", "gone-3", "gone-4", "gone-5", "gone-6"]) site.add(`${name}.deb`, deb(name));
    site.index({ edit: large });
    once(
      (path) => path.startsWith("pool/"),
      () => {
        for (const nth of [1, 2, 3, 4, 5, 6]) site.remove(`gone-${nth}.deb`);
        replaceContent();
      },
    );
    await made();
    await bench.drain();
    await expectNew();
  });

  test("a Release whose signature is already the next one's", async () => {
    const key = await generateSigningKey({ userId: "Lab", algorithm: "ed25519Legacy", now: new Date() });
    const keys = [key.privateKeyArmored];
    site.index();
    const release = join(site.folder, "dists/stable/Release");
    const sign = async () => signDetached(readFileSync(release), keys, new Date());
    writeFileSync(`${release}.gpg`, await sign());
    const old = readFileSync(release);
    replaceContent();
    const next = { release: readFileSync(release), signature: await sign() };
    writeFileSync(release, old);
    once(
      (path) => path.endsWith("Release.gpg"),
      () => {
        writeFileSync(release, next.release);
        writeFileSync(`${release}.gpg`, next.signature);
      },
    );
    await bench.make({ path: site.url, series: ["stable"], key: await publicKeyArmored(keys) });
    await bench.drain();
    await expectNew(0);
  });

  test("also on a re-sync, and the commit before stays until then", async () => {
    site.index();
    await made();
    await bench.drain();
    site.add("gamma.deb", deb("gamma"));
    site.index();
    const seen: number[] = [];
    once(
      (path) => path === "pool/gamma.deb",
      () => {
        site.remove("gamma.deb");
        replaceContent();
        void bench.state().then(({ number }) => seen.push(number));
      },
    );
    await bench.again();
    await bench.drain();
    expect(seen).toEqual([1]);
    expect(await bench.state()).toMatchObject({ number: 2, packages: ["beta_1.0-1", "kept_1.0-1"] });
  });
});

describe("an upstream that contradicts itself for good fails the sync, which says where, what should have come and what came:", () => {
  test.each([
    ["an index of another size", `${INDEXES}/Packages.gz`, { status: 200, body: "short" }, /expected \d+ bytes, got 5/],
    ["no index", `${INDEXES}/Packages`, { status: 404 }, /expected 200, got 404/],
    ["a package of another size", "pool/alpha.deb", { status: 200, body: "short" }, /expected \d+ bytes, got 5/],
    ["no package", "pool/alpha.deb", { status: 410 }, /expected 200, got 410/],
  ])("%s", async (_, path, fault, message) => {
    site.index();
    if (path.endsWith("Packages")) for (const end of [".xz", ".gz"]) site.faults.set(`${path}${end}`, fault);
    site.faults.set(path, fault);
    await made();
    await bench.drain();
    const job = await bench.job();
    expect(job).toMatchObject({ state: "failed", restarts: 0, errors: [{ url: `${site.url}/${path}` }] });
    expect(job.errors[0]?.message).toMatch(message);
    expect(job.errors[0]?.message).toContain(`${site.url}/${path}`);
    expect(await bench.state()).toMatchObject({ number: 0, packages: [] });
  });

  test("a package of the right size with other bytes", async () => {
    site.index();
    const bytes = Buffer.from(deb("alpha"));
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    site.faults.set("pool/alpha.deb", { status: 200, body: bytes });
    await made();
    await bench.drain();
    const [error] = (await bench.job()).errors;
    expect(error?.message).toMatch(/alpha\.deb: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}/);
  });

  test("a Release that is another one each time, and never fits", async () => {
    site.index();
    site.faults.set("pool/alpha.deb", { status: 404 });
    let asked = 0;
    site.meanwhile = (path) => {
      if (path.endsWith("stable/Release")) {
        asked += 1;
        const release = join(site.folder, path);
        writeFileSync(
          release,
          readFileSync(release, "utf8").replace(/^Date: .*/m, `Date: ${new Date(asked * 1000).toUTCString()}`),
        );
      }
      return false;
    };
    await made();
    await bench.drain();
    expect(await bench.job()).toMatchObject({ state: "failed", restarts: 3 });
    expect((await bench.job()).errors.at(-1)).toMatchObject({ url: `${site.url}/pool/alpha.deb` });
    expect(await bench.state()).toMatchObject({ number: 0 });
  });
});
