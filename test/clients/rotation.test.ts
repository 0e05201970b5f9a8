import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resignRepo } from "../../shared/repo/resign.ts";
import { waitFor } from "../../shared/wait.ts";
import { openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openDnf } from "../support/clients-dnf.ts";
import { rpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";

const HOLDERS = ["old", "new", "both"] as const;
type Holder = (typeof HOLDERS)[number];
const DAY_MS = 86_400_000;

let site: Site;

beforeAll(async () => {
  site = await openSite("rotation");
  await Promise.all([site.repo("tools", "apt", { accepts: ["**"] }), site.repo("rpms", "yum", { accepts: ["**"] })]);
});

afterAll(() => site.close());

/** What is served as key.asc, as a file. */
async function keyFile(repo: string, name: string): Promise<string> {
  return site.bench.file(`keys/${repo}-${name}.asc`, await site.read(`/${repo}/key.asc`));
}

/** Of the keys in a file, the one alone. */
async function only(file: string, keyId: string): Promise<string> {
  const home = ["--homedir", `${site.bench.folder}/gnupg`, "--batch", "--yes"];
  await site.bench.run("gpg", [...home, "--import", file]);
  await site.bench.run("gpg", [...home, "--armor", "--output", `${file}.one`, "--export", keyId]);
  return `${file}.one`;
}

async function published(repo: string): Promise<void> {
  const isSo = async () => {
    const { commit, published_commit } = (await site.packhouse.call("GET", `/repo/${repo}`)).body;
    return commit === published_commit;
  };
  expect(await waitFor(isSo, 20_000)).toBe(true);
}

/** Rotates with an overlap of 30 days; the key files of those who hold the old key, the new one, and both. */
async function rotated(type: "apt" | "yum", repo: string): Promise<Record<Holder, string>> {
  const old = await keyFile(`${type}/${repo}`, "old");
  const { status, body } = await site.packhouse.call("POST", `/repo/${repo}/key/rotate`, { overlap: "30 days" });
  expect(status, JSON.stringify(body)).toBe(200);
  await published(repo);
  const both = await keyFile(`${type}/${repo}`, "both");
  return { old, both, new: await only(both, body.key_id) };
}

/** As on the day when the overlap is over: what the schedule has the worker do then. */
async function endOverlap(type: "apt" | "yum", name: string): Promise<void> {
  const now = () => new Date(Date.now() + 30 * DAY_MS + 60_000);
  await resignRepo({ ...site.packhouse.context, now }, { type, name });
  await published(name);
}

describe("apt", () => {
  test("holding the old key, the new one or both sees what is added during the overlap; afterwards the old one alone sees nothing more", async () => {
    const hello = deb({ Package: "hello" });
    await site.publish(hello);
    const keys = await rotated("apt", "tools");
    const clients = await Promise.all(
      HOLDERS.map(async (holder) => {
        const list = `deb [signed-by=${keys[holder]}] ${site.packhouse.url}/apt/tools stable main\n`;
        return [holder, await openApt(site.bench, `apt-${holder}`, { list })] as const;
      }),
    );
    await site.publish(deb({ Package: "during" }));
    for (const [holder, apt] of clients) {
      await apt.update();
      expect(await apt.visible(), holder).toEqual(["during=1.0-1", "hello=1.0-1"]);
    }

    await endOverlap("apt", "tools");
    await site.publish(deb({ Package: "later" }));
    for (const [holder, apt] of clients) {
      if (holder === "old") {
        expect((await apt.tryUpdate()).output).toMatch(/NO_PUBKEY/);
        expect(await apt.visible()).not.toContain("later=1.0-1");
      } else {
        await apt.update();
        expect(await apt.visible(), holder).toEqual(["during=1.0-1", "hello=1.0-1", "later=1.0-1"]);
      }
    }
    const fresh = await openApt(site.bench, "apt-fresh", {
      sources: (await site.read("/apt/tools/packhouse.sources")).toString(),
    });
    await fresh.update();
    expect(await fresh.visible()).toContain("later=1.0-1");
  });
});

describe("dnf", () => {
  test("with repo_gpgcheck, holding the old key, the new one or both, sees what is added during the overlap; afterwards the old one alone is refused", async () => {
    const { folder } = site.bench;
    const hello = rpm(folder, { name: "greeting" });
    await site.publish(hello);
    const keys = await rotated("yum", "rpms");
    const source = (address: string, key: string) =>
      `[rpms]\nname=rpms\n${address}\nrepo_gpgcheck=1\ngpgcheck=0\ngpgkey=file://${key}\n`;
    const addresses = {
      list: `mirrorlist=${site.packhouse.url}/yum/rpms/mirrorlist`,
      plain: `baseurl=${site.packhouse.url}/yum/rpms/`,
    };
    const clients = await Promise.all(
      HOLDERS.flatMap((holder) =>
        Object.entries(addresses).map(async ([kind, address]) => {
          const name = `dnf-${holder}-${kind}`;
          return [holder, await openDnf(site.bench, name, { "rpms.repo": source(address, keys[holder]) })] as const;
        }),
      ),
    );
    const during = rpm(folder, { name: "while" });
    await site.publish(during);
    for (const [holder, dnf] of clients) {
      expect(await dnf.query("--refresh"), holder).toEqual([hello.nevra, during.nevra].sort());
    }

    await endOverlap("yum", "rpms");
    const later = rpm(folder, { name: "zlater" });
    await site.publish(later);
    for (const [holder, dnf] of clients) {
      if (holder === "old") {
        const { code, output } = await dnf.run("repoquery", "--refresh");
        expect(code).not.toBe(0);
        expect(output).toMatch(/GPG|signature/i);
        expect(output).not.toContain("zlater");
      } else expect(await dnf.query("--refresh"), holder).toEqual([hello.nevra, during.nevra, later.nevra].sort());
    }
  });
});
