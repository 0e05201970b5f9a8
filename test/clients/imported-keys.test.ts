import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openDnf } from "../support/clients-dnf.ts";
import { rpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { type Gpg, openGpg } from "../support/gpg-keys.ts";

let site: Site;
let gpg: Gpg;

beforeAll(async () => {
  site = await openSite("imported");
  gpg = openGpg();
});

afterAll(async () => {
  await gpg.close();
  await site.close();
});

type Kind = { readonly name: string; readonly secret: () => Promise<readonly [fingerprint: string, text: string]> };

const whole =
  (...wanted: Parameters<Gpg["make"]>) =>
  async () => {
    const key = await gpg.make(...wanted);
    return [key, await gpg.secret(key)] as const;
  };

/** A primary that certifies alone, with a subkey that signs; exported with the primary's secret or without it. */
const subkey = (name: string, part: "keys" | "subkeys") => async () => {
  const key = await gpg.make(name, { usage: "cert" });
  await gpg.run("--passphrase", "", "--quick-add-key", key, "rsa3072", "sign", "1y");
  return [key, await gpg.secret(key, part)] as const;
};

const KINDS: Kind[] = [
  { name: "rsa", secret: whole("rsa", { algorithm: "rsa3072", expires: "2y" }) },
  { name: "ed25519", secret: whole("ed25519", { algorithm: "ed25519" }) },
  { name: "nistp384", secret: whole("nistp384", { algorithm: "nistp384" }) },
  { name: "with-encryption", secret: whole("default", { algorithm: "default", usage: "default" }) },
  {
    name: "sha256",
    secret: whole("sha256", { options: ["--default-preference-list", "SHA256 AES256 ZLIB"] }),
  },
  { name: "subkey", secret: subkey("subkey", "keys") },
  { name: "stub", secret: subkey("stub", "subkeys") },
];

async function served(path: string): Promise<string> {
  return site.bench.file(`served${path}`, await site.read(path));
}

/** The primary key's fingerprint of each good signature, as gpg of the machine judges it. */
async function signers(keyring: string, ...files: string[]): Promise<string[]> {
  const { output } = await site.bench.run("gpgv", ["--status-fd", "1", "--keyring", keyring, ...files]);
  return [...output.matchAll(/^\[GNUPG:\] VALIDSIG .* ([0-9A-F]{40})$/gm)].map(([, primary]) => primary ?? "");
}

describe.each(KINDS)("a repo of a key from gpg ($name)", ({ name, secret }) => {
  let fingerprint: string;
  const hello = deb({ Package: `hello-${name}` });

  beforeAll(async () => {
    const [id, key] = await secret();
    fingerprint = id;
    await site.repo(`apt-${name}`, "apt", { accepts: [`hello-${name}/**`], key });
    await site.repo(`yum-${name}`, "yum", { accepts: [`greeting-${name}/**`], key });
  });

  test("tells its fingerprint, serves it and signs with it", async () => {
    for (const type of ["apt", "yum"]) {
      const { body } = await site.packhouse.call("GET", `/repo/${type}-${name}`);
      expect(body.key_id).toBe(fingerprint);
      const { output } = await site.bench.run("gpg", [
        "--show-keys",
        "--with-colons",
        await served(`/${type}/${type}-${name}/key.asc`),
      ]);
      expect(/^fpr:+([0-9A-F]{40}):/m.exec(output)?.[1]).toBe(fingerprint);
      expect(output).not.toMatch(/^(?:sec|ssb):/m);
    }
    const root = `/apt/apt-${name}`;
    const key = await served(`${root}/key.gpg`);
    expect(await signers(key, await served(`${root}/dists/stable/InRelease`))).toEqual([fingerprint]);
    const detached = [await served(`${root}/dists/stable/Release.gpg`), await served(`${root}/dists/stable/Release`)];
    expect(await signers(key, ...detached)).toEqual([fingerprint]);
  });

  test("is read by apt and dnf", async () => {
    const greeting = rpm(site.bench.folder, { name: `greeting-${name}` });
    await Promise.all([site.publish(hello), site.publish(greeting)]);
    const apt = await openApt(site.bench, `apt-${name}`, {
      sources: (await site.read(`/apt/apt-${name}/packhouse.sources`)).toString(),
    });
    await apt.update();
    expect(await apt.visible()).toEqual([`hello-${name}=1.0-1`]);
    const dnf = await openDnf(site.bench, `dnf-${name}`, {
      "x.repo": (await site.read(`/yum/yum-${name}/packhouse.repo`)).toString(),
    });
    expect(await dnf.query()).toEqual([greeting.nevra]);
  });
});

test("an imported key and one of ours sign beside each other, each in its own hash", async () => {
  const key = await gpg.make("beside", { options: ["--default-preference-list", "SHA256 AES256 ZLIB"] });
  await site.repo("beside", "apt", { accepts: [] });
  const rotated = await site.packhouse.call("POST", "/repo/beside/key/rotate", { key: await gpg.secret(key) });
  expect(rotated).toMatchObject({ status: 200, body: { key_id: key } });
  const both = [key, rotated.body.old_keys[0].key_id];
  let inRelease = "";
  await expect
    .poll(
      async () => {
        inRelease = await served("/apt/beside/dists/stable/InRelease");
        return signers(await served("/apt/beside/key.gpg"), inRelease);
      },
      { timeout: 20_000 },
    )
    .toEqual(both);
});
