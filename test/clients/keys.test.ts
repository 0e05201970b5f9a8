import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSite, type Site } from "../support/clients-site.ts";

let site: Site;

beforeAll(async () => {
  site = await openSite("keys");
  await Promise.all([
    site.repo("tools", "apt", { accepts: [], label: "Tools of größe" }),
    site.repo("rpms", "yum", { accepts: [] }),
    site.repo("stranger", "apt", { accepts: [] }),
  ]);
});

afterAll(() => site.close());

/** What is served there, as a file. */
async function served(path: string): Promise<string> {
  return site.bench.file(`served${path}`, await site.read(path));
}

async function gpgv(keyring: string, ...files: string[]): Promise<string> {
  return (await site.bench.run("gpgv", ["--status-fd", "1", "--keyring", keyring, ...files])).output;
}

async function fingerprints(path: string): Promise<string[]> {
  const { output } = await site.bench.run("gpg", ["--show-keys", "--with-colons", await served(path)]);
  return [...output.matchAll(/^fpr:+([0-9A-F]{40}):/gm)].map(([, fingerprint]) => fingerprint ?? "");
}

describe("gpgv with key.gpg", () => {
  test("finds InRelease validly signed", async () => {
    const [key, inRelease] = [await served("/apt/tools/key.gpg"), await served("/apt/tools/dists/stable/InRelease")];
    expect(await gpgv(key, inRelease)).toMatch(/^\[GNUPG:\] VALIDSIG /m);
  });

  test("finds Release validly signed by Release.gpg", async () => {
    const [key, signature, release] = [
      await served("/apt/tools/key.gpg"),
      await served("/apt/tools/dists/stable/Release.gpg"),
      await served("/apt/tools/dists/stable/Release"),
    ];
    expect(await gpgv(key, signature, release)).toMatch(/^\[GNUPG:\] VALIDSIG /m);
  });

  test("finds repomd.xml validly signed by repomd.xml.asc", async () => {
    const [key, signature, repomd] = [
      await served("/yum/rpms/key.gpg"),
      await served("/yum/rpms/repodata/repomd.xml.asc"),
      await served("/yum/rpms/repodata/repomd.xml"),
    ];
    expect(await gpgv(key, signature, repomd)).toMatch(/^\[GNUPG:\] VALIDSIG /m);
  });

  test("of another repo finds no signature of a key it knows", async () => {
    const foreign = await served("/apt/stranger/key.gpg");
    const told = await gpgv(foreign, await served("/apt/tools/dists/stable/InRelease"));
    expect(told).toMatch(/^\[GNUPG:\] NO_PUBKEY /m);
    expect(told).not.toMatch(/VALIDSIG/);
  });
});

test("what InRelease signs is Release", async () => {
  const output = `${site.bench.folder}/signed`;
  await gpgv(await served("/apt/tools/key.gpg"), "--output", output, await served("/apt/tools/dists/stable/InRelease"));
  const same = await site.bench.run("cmp", [output, await served("/apt/tools/dists/stable/Release")]);
  expect(same).toMatchObject({ code: 0, output: "" });
});

test("gpg shows one key in key.asc, the one of key.gpg, named after the repo", async () => {
  const shown = await site.bench.run("gpg", ["--show-keys", await served("/apt/tools/key.asc")]);
  expect(shown.output).toMatch(/^pub +rsa4096 /m);
  expect(shown.output).toMatch(/^uid +Tools of größe \(apt repository\)$/m);
  const [armored, binary] = [await fingerprints("/apt/tools/key.asc"), await fingerprints("/apt/tools/key.gpg")];
  expect(armored).toHaveLength(1);
  expect(binary).toEqual(armored);
});

test("no two repos have a key in common, and repomd.xml.key is key.asc", async () => {
  const all = await Promise.all(
    ["/apt/tools", "/yum/rpms", "/apt/stranger"].map((at) => fingerprints(`${at}/key.asc`)),
  );
  expect(new Set(all.flat()).size).toBe(3);
  expect(await fingerprints("/yum/rpms/repodata/repomd.xml.key")).toEqual(all[1]);
});
