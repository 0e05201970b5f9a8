import { describe, expect, test } from "vitest";
import { planIndexes, type WantedIndexes } from "../../shared/apt/index-plan.ts";
import { parseRelease } from "../../shared/apt/release.ts";
import { sha256Of } from "../../shared/blob.ts";

function release(fields: Record<string, string>, paths: readonly string[]) {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  const files = paths.map((path, i) => ` ${sha256Of(path)} ${100 + i} ${path}\n`);
  return parseRelease(`Origin: o\n${lines.join("")}SHA256:\n${files.join("")}`);
}

const plan = (one: ReturnType<typeof release>, wanted?: WantedIndexes) =>
  planIndexes(one, wanted).map(
    ({ component, architecture, udeb }) => `${component}|${architecture}${udeb ? "|udeb" : ""}`,
  );

const indexes = (folder: string, architectures: string[], endings = ["", ".gz", ".xz"]) =>
  architectures.flatMap((architecture) =>
    endings.map((ending) => `${folder}/binary-${architecture}/Packages${ending}`),
  );

const DEBIAN = { Architectures: "all amd64 arm64", Components: "main contrib", "Acquire-By-Hash": "yes" };
const NO_ALL = { ...DEBIAN, "No-Support-for-Architecture-all": "Packages" };
const FILES = [
  ...indexes("main", ["all", "amd64", "arm64"]),
  ...indexes("contrib", ["all", "amd64", "arm64"]),
  ...indexes("main/debian-installer", ["amd64", "arm64"]),
  "main/source/Sources.xz",
  "main/source/Sources.gz",
  "main/binary-amd64/Release",
  "main/Contents-amd64.gz",
  "main/i18n/Translation-en.bz2",
];

test("all that the Release names, but for sources and the installer's", () => {
  expect(plan(release(NO_ALL, FILES))).toEqual(["main|amd64", "main|arm64", "contrib|amd64", "contrib|arm64"]);
});

test("the candidates, the fastest to unpack first, by hash where the Release says so", () => {
  const paths = ["gz", "bz2", "lzma", "zst", "xz"].map((ending) => `main/binary-amd64/Packages.${ending}`);
  const files = [paths[0] ?? "", "main/binary-amd64/Packages", ...paths.slice(1)];
  const [index] = planIndexes(release({ ...DEBIAN }, files));
  expect(index?.candidates.map((one) => one.compression)).toEqual(["zst", "gz", "xz", "bz2", "plain"]);
  const zst = "main/binary-amd64/Packages.zst";
  expect(index?.candidates[0]).toEqual({
    path: zst,
    compression: "zst",
    sizeBytes: 104,
    sha256: sha256Of(zst),
    byHashPath: `main/binary-amd64/by-hash/SHA256/${sha256Of(zst)}`,
  });
  expect(index?.plain).toEqual({ sizeBytes: 101, sha256: sha256Of("main/binary-amd64/Packages") });
  const [without] = planIndexes(release({ Architectures: "amd64" }, files));
  expect(without?.candidates[0]).not.toHaveProperty("byHashPath");
});

test("sources and the installer's packages when they are asked for", () => {
  const one = release(NO_ALL, FILES);
  expect(plan(one, { architectures: ["amd64", "source"], components: ["main"] })).toEqual([
    "main|amd64",
    "main|source",
  ]);
  expect(plan(one, { architectures: ["source"] })).toEqual(["main|source"]);
  expect(plan(one, { source: true, components: ["main"] })).toContain("main|source");
  expect(plan(one, { udebs: true, architectures: ["arm64"] })).toContain("main|arm64|udeb");
});

describe("packages of architecture all", () => {
  test("are read from their own index where the others lack them", () => {
    expect(plan(release(DEBIAN, FILES), { components: ["main"], architectures: ["amd64"] })).toEqual([
      "main|all",
      "main|amd64",
    ]);
  });
  test("are not where the Release says that the others have them", () => {
    expect(plan(release(NO_ALL, FILES), { components: ["main"], architectures: ["amd64"] })).toEqual(["main|amd64"]);
  });
  test("are where they alone are asked for", () => {
    expect(plan(release(NO_ALL, FILES), { components: ["main"], architectures: ["all"] })).toEqual(["main|all"]);
  });
  test("are not where the Release does not list them, as apt has it", () => {
    expect(
      plan(release({ ...DEBIAN, Architectures: "amd64 arm64" }, FILES), {
        components: ["main"],
        architectures: ["amd64"],
      }),
    ).toEqual(["main|amd64"]);
  });
});

describe("components", () => {
  const security = { Architectures: "amd64", Components: "updates/main updates/contrib" };
  test.each([
    ["without the prefix that the Release lists", indexes("main", ["amd64"]), "main|amd64"],
    ["with it", indexes("updates/main", ["amd64"]), "updates/main|amd64"],
  ])("files %s", (_, paths, expected) => {
    const one = release(security, paths);
    for (const components of [undefined, ["main"], ["updates/main"]])
      expect(plan(one, components ? { components } : {})).toEqual([expected]);
  });
  test("the exact name wins", () => {
    const one = release({ Architectures: "amd64" }, [...indexes("main", ["amd64"]), ...indexes("a/main", ["amd64"])]);
    expect(plan(one, { components: ["main"] })).toEqual(["main|amd64"]);
    expect(plan(one, { components: ["a/main"] })).toEqual(["a/main|amd64"]);
  });
});

test("a flat repository", () => {
  const one = release({ Architectures: "amd64" }, ["Packages", "Packages.gz", "Sources.gz", "Release.old"]);
  expect(
    planIndexes(one, { flat: true }).map(({ index, candidates }) => [index, candidates.map((c) => c.path)]),
  ).toEqual([["Packages", ["Packages.gz", "Packages"]]]);
  expect(plan(one, { flat: true, architectures: ["source", "amd64"] })).toEqual(["|undefined", "|undefined"]);
  expect(planIndexes(one, { flat: true, architectures: ["source"] }).map(({ index }) => index)).toEqual(["Sources"]);
  expect(() => planIndexes(one)).toThrow("none of its files is an index that was asked for; it lists Packages");
  const binary = release({ Architectures: "amd64" }, ["Packages"]);
  expect(() => planIndexes(binary, { flat: true, architectures: ["source"] })).toThrow(
    "no index of architecture source",
  );
});

describe("refused, telling what there is:", () => {
  const one = release(NO_ALL, FILES);
  const wanted: [string, WantedIndexes, string][] = [
    ["a component", { components: ["main", "universe"] }, "no index of component universe; there are: main contrib"],
    [
      "an architecture",
      { architectures: ["riscv64"] },
      "no index of architecture riscv64; there are: all amd64 arm64 source",
    ],
    [
      "sources",
      { architectures: ["source"], components: ["contrib"] },
      "no index of architecture source; there are: all amd64 arm64",
    ],
    ["a flat repository", { flat: true }, "none of its files is an index"],
  ];
  test.each(wanted)("%s", (_, ask, message) => expect(() => planIndexes(one, ask)).toThrow(message));
  test("a Release with weaker hashes alone", () => {
    expect(() => planIndexes(parseRelease("Origin: o\nMD5Sum:\n x\n"))).toThrow("field SHA256: it lists no files");
  });
  test("a path that leads out", () => {
    const path = "main/binary-amd64/%2e%2e/binary-amd64/Packages";
    expect(() => planIndexes(release(DEBIAN, [path]))).toThrow(/the path .* is refused: it has a percent-encoded dot/);
  });
});
