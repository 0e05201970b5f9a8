import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { IndexKind } from "../../shared/yum/chunks.ts";
import { type DnfClient, openDnf } from "../support/clients-dnf.ts";
import { type BuiltRpm, everyKindOfRpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { createrepo, indexText, KINDS } from "../support/createrepo.ts";

let site: Site;
let dnf: DnfClient;
let rpms: BuiltRpm[];
let installable: BuiltRpm[];

beforeAll(async () => {
  site = await openSite("dnf-packages");
  rpms = everyKindOfRpm(site.bench.folder);
  installable = rpms.filter(({ architecture }) => ["x86_64", "noarch"].includes(architecture));
  await site.repo("kinds", "yum", { accepts: ["**"] });
  await Promise.all(rpms.map((one) => site.publish(one)));
  dnf = await openDnf(site.bench, "kinds", {
    "packhouse.repo": (await site.read("/yum/kinds/packhouse.repo")).toString(),
  });
});

afterAll(() => site.close());

describe("dnf", () => {
  test("sees each package in its exact version", async () => {
    expect(await dnf.query()).toEqual(rpms.map(({ nevra }) => nevra).sort());
  });

  test("downloads each package byte for byte, whatever its version holds", async () => {
    const folder = join(site.bench.folder, "downloaded");
    const names = installable.map(({ name }) => name);
    const { code, output } = await dnf.run(
      "install",
      "--downloadonly",
      `--downloaddir=${folder}`,
      ...without(names, "rich"),
    );
    expect(code, output).toBe(0);
    for (const { name, filename, bytes } of installable) {
      if (name !== "rich") expect((await readFile(join(folder, filename))).equals(bytes), filename).toBe(true);
    }
  });

  test("installs packages of each kind of payload", async () => {
    const { code, output } = await dnf.run(
      "install",
      "packed-gz",
      "packed-xz",
      "packed-zst",
      "epoch",
      "tilde",
      "caret",
    );
    expect(code, output).toBe(0);
    for (const kind of ["gz", "xz", "zst"])
      expect(await readFile(join(dnf.root, "usr/share", kind), "utf8")).toBe(`${kind}\n`);
  });

  test.each([
    "requires",
    "provides",
    "conflicts",
    "obsoletes",
    "recommends",
    "suggests",
    "supplements",
    "enhances",
    "list",
  ])("answers --%s just as rpm does of the file", async (question) => {
    const rich = rpms.find(({ name }) => name === "rich");
    const rpmSays = async (what: string) =>
      (await site.bench.run("rpm", ["-qp", `--${what}`, rich?.path ?? ""])).output.split("\n").filter(Boolean);
    // What a package needs of rpm or of itself stands in no repository's metadata.
    const own = question === "requires" ? await rpmSays("provides") : [];
    const theirs = (await rpmSays(question)).filter((line) => !line.startsWith("rpmlib(") && !own.includes(line));
    expect(theirs).not.toEqual([]);
    expect(await dnf.query(`--${question}`, "rich")).toEqual([...new Set(theirs)].sort());
  });

  test("finds a package by any of its files", async () => {
    expect(await dnf.query("--file", "/usr/share/rich/a file & more")).toEqual(["rich-1:2.1-3.x86_64"]);
  });
});

test("the repository's metadata says of each package what createrepo_c says", async () => {
  const { folder } = createrepo(Object.fromEntries(rpms.map(({ filename, bytes }) => [filename, bytes])));
  const repomd = (await site.read("/yum/kinds/repodata/repomd.xml")).toString();
  for (const kind of KINDS) {
    const href = new RegExp(`href="(repodata/[0-9a-f]{64}-${kind}\\.xml\\.gz)"`).exec(repomd)?.[1];
    const ours = gunzipSync(await site.read(`/yum/kinds/${href}`)).toString();
    expect(packages(ours, kind)).toEqual(packages(indexText(folder, kind), kind));
    expect(ours).toContain(` packages="${rpms.length}"`);
  }
});

/** The package elements, sorted. Where a file lies and when it came there is the repository's own. */
function packages(index: string, kind: IndexKind): string[] {
  const elements = index.match(/<package [\s\S]*?<\/package>/g) ?? [];
  return elements
    .map((element) =>
      kind === "primary"
        ? element
            .replace(/<location href="(?:.*\/)?([^/]*)"\/>/, '<location href="$1"/>')
            .replace(/<time file="\d+"/, "<time")
        : element,
    )
    .sort();
}

function without(names: readonly string[], name: string): string[] {
  return names.filter((one) => one !== name);
}
