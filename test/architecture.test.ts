import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  cycleIn,
  graphOf,
  type Import,
  importsOf,
  packageOf,
  root,
  type Source,
  sourcesOf,
  targetOf,
} from "./support/architecture.ts";

const sources = sourcesOf(["functions", "shared", "infra", "test", "bench"]);

/** Area of a file: what may import what is a matter of areas. The owner's script runs as the local server does, by itself. */
function areaOf(path: string): string {
  if (path.startsWith("infra/local/") || path === "infra/root-token.ts") return "infra/local";
  return path.split("/")[0] ?? path;
}

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  shared: ["shared"],
  functions: ["functions", "shared"],
  infra: ["infra", "shared"],
  "infra/local": ["infra/local", "functions", "shared"],
  test: ["test", "bench", "shared", "functions", "infra", "infra/local"],
  bench: ["bench", "test", "shared", "functions", "infra", "infra/local"],
};

/** The only files that know AWS's SDK. */
const SDK_FILES = [
  "shared/store/dynamo.ts",
  "shared/objects/s3.ts",
  "shared/objects/s3-answers.ts",
  "shared/objects/s3-list.ts",
  "shared/objects/s3-put.ts",
  "shared/objects/presign.ts",
  "shared/objects/multipart.ts",
  "shared/objects/multipart-copy.ts",
  "shared/objects/foreign.ts",
  "shared/queue/sqs.ts",
  "shared/schedule/eventbridge.ts",
  "shared/signing/kms.ts",
  "functions/context.ts",
];

/** The stack knows of shared/ the names alone; the rules of the domain are not its business. */
const SHARED_FOR_INFRA = ["shared/settings.ts", "shared/objects/keys.ts"];

const MAX_LINES = 300;

/** Longer than that, each with its reason. */
const LONG_FILES: Readonly<Record<string, string>> = {};

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});
const manifest = Manifest.parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

type Rule = (files: readonly Source[]) => string[];

function eachImport(files: readonly Source[], offends: (one: Import) => boolean): string[] {
  return files
    .flatMap(importsOf)
    .filter(offends)
    .map((one) => `${one.from} imports ${one.specifier}`);
}

/** In a comment, "as any" is English. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
}

const rules: Record<string, Rule> = {
  "every relative import names a file of the project with its extension": (files) =>
    eachImport(files, (one) => {
      const target = targetOf(one);
      return target !== undefined && !existsSync(join(root, target));
    }),

  "dependencies point one way: functions to shared, the local server to both, nothing back": (files) =>
    eachImport(files, (one) => {
      const target = targetOf(one);
      return target !== undefined && !(MAY_IMPORT[areaOf(one.from)] ?? []).includes(areaOf(target));
    }),

  "the stack takes names from the domain and nothing else": (files) =>
    eachImport(files, (one) => {
      const target = targetOf(one);
      return (
        areaOf(one.from) === "infra" && target?.startsWith("shared/") === true && !SHARED_FOR_INFRA.includes(target)
      );
    }),

  "shared knows no HTTP, no Lambda event and no CDK": (files) =>
    eachImport(
      files.filter((file) => areaOf(file.path) === "shared"),
      (one) =>
        /^(hono|@hono\/|aws-lambda|@types\/aws-lambda|aws-cdk|constructs|cdk-nag|node:https?$)/.test(one.specifier) &&
        // What fetches from upstreams is a client of HTTP, the only one.
        !(one.from.startsWith("shared/upstream/fetch") && /^node:https?$/.test(one.specifier)),
    ),

  "the CDK is known to infra alone": (files) =>
    eachImport(
      files.filter((file) => !["infra", "test"].includes(areaOf(file.path))),
      (one) => /^(aws-cdk|constructs|cdk-nag)/.test(one.specifier),
    ),

  "the AWS SDK is known to the adapters alone": (files) =>
    eachImport(
      files.filter((file) => ["shared", "functions", "infra"].includes(areaOf(file.path))),
      (one) => /^@(aws-sdk|smithy)\//.test(one.specifier) && !SDK_FILES.includes(one.from),
    ),

  "what runs imports only what is a dependency": (files) =>
    eachImport(
      files.filter((file) => ["shared", "functions", "infra/local"].includes(areaOf(file.path))),
      (one) => {
        const name = packageOf(one);
        if (name === undefined || name in manifest.dependencies) return false;
        return !(one.typeOnly && (name in manifest.devDependencies || `@types/${name}` in manifest.devDependencies));
      },
    ),

  "the environment is read in one file (and by the local server's start)": (files) =>
    files
      .filter((file) => ["shared", "functions", "infra", "infra/local"].includes(areaOf(file.path)))
      .filter((file) => !["functions/context.ts", "infra/local/start.ts", "infra/local/aws.ts"].includes(file.path))
      .filter((file) => /\bprocess\.env\b|\benv\b[^;]*\sfrom\s+"node:process"/.test(file.text))
      .map((file) => `${file.path} reads the environment`),

  "no type is silenced": (files) =>
    files
      .filter((file) => file.path !== "test/architecture.test.ts")
      .filter(
        (file) => /@ts-(ignore|nocheck)/.test(file.text) || /\bas (any|unknown as)\b/.test(withoutComments(file.text)),
      )
      .map((file) => `${file.path} silences a type`),

  [`no file is over ${MAX_LINES} lines`]: (files) =>
    files
      .filter((file) => file.text.split("\n").length - 1 > MAX_LINES && !(file.path in LONG_FILES))
      .map((file) => `${file.path} has ${file.text.split("\n").length - 1} lines`),

  "no cycle between the folders of shared": (files) => {
    const imports = files.filter((file) => areaOf(file.path) === "shared").flatMap(importsOf);
    const cycle = cycleIn(graphOf(imports, (path) => path.split("/").slice(0, 2).join("/")));
    return cycle ? [cycle.join(" → ")] : [];
  },

  "no cycle between files, but for types": (files) => {
    const imports = files.flatMap(importsOf).filter((one) => !one.typeOnly);
    const cycle = cycleIn(graphOf(imports, (path) => path));
    return cycle ? [cycle.join(" → ")] : [];
  },
};

describe("the tree", () => {
  test("is all read, and its imports are found", () => {
    expect(sources.length).toBeGreaterThan(20);
    const found = sources.flatMap(importsOf).map((one) => `${one.from} ${one.specifier}`);
    expect(found).toContain("shared/signing/kms.ts @aws-sdk/client-kms");
    expect(found).toContain("shared/signing/kms.ts ./sealer.ts");
  });

  test("uses every dependency that the project names", () => {
    const text = sources.map((source) => source.text).join("\n");
    // Node 24 itself, which npm's scripts find first.
    const named = Object.keys(manifest.dependencies).filter((name) => name !== "node");
    const unused = named.filter((name) => !new RegExp(`["\x60]${name}["\x60/]`).test(text));
    expect(unused).toEqual([]);
  });

  test.each(Object.keys(rules))("%s", (name) => {
    expect(rules[name]?.(sources)).toEqual([]);
  });
});

describe("a planted fault is found where", () => {
  const planted: [rule: string, path: string, text: string][] = [
    ["every relative import", "shared/x.ts", 'import { a } from "./nowhere.ts";\n'],
    ["dependencies point one way", "shared/x.ts", 'import {\n  a,\n} from "../functions/context.ts";\n'],
    ["dependencies point one way", "infra/x.ts", 'import type { a } from "../functions/context.ts";\n'],
    ["dependencies point one way", "functions/x.ts", 'export * from "../infra/app.ts";\n'],
    ["the stack takes names", "infra/x.ts", 'import { sha256Of } from "../shared/blob.ts";\n'],
    ["shared knows no HTTP", "shared/x.ts", 'import type { Context } from "hono";\n'],
    ["the CDK is known", "functions/x.ts", 'import { App } from "aws-cdk-lib";\n'],
    ["the AWS SDK is known", "shared/x.ts", 'const { S3Client } = await import("@aws-sdk/client-s3");\n'],
    ["the AWS SDK is known", "functions/http/x.ts", 'import "@smithy/signature-v4";\n'],
    ["what runs imports only", "shared/x.ts", 'import { mockClient } from "aws-sdk-client-mock";\n'],
    ["what runs imports only", "shared/x.ts", 'import fc from "left-pad/x";\n'],
    ["the environment is read", "functions/x.ts", "const a = process.env.PACKHOUSE_TABLE;\n"],
    ["the environment is read", "shared/x.ts", 'import { env } from "node:process";\n'],
    ["no type is silenced", "shared/x.ts", "const a = b as any;\n"],
    ["no file is over", "test/x.ts", "//\n".repeat(MAX_LINES + 1)],
  ];

  test.each(planted)("%s (%s)", (rule, path, text) => {
    const check = Object.entries(rules).find(([name]) => name.startsWith(rule))?.[1];
    expect(check?.([{ path, text }])).toHaveLength(1);
  });

  test("folders of shared, or files, go round in a circle", () => {
    const files = [
      { path: "shared/a/1.ts", text: 'import { x } from "../b/2.ts";\n' },
      { path: "shared/b/3.ts", text: 'import type { y } from "../a/4.ts";\n' },
      { path: "test/x.ts", text: 'import "./y.ts";\n' },
      { path: "test/y.ts", text: 'import "./x.ts";\n' },
    ];
    expect(rules["no cycle between the folders of shared"]?.(files)).toEqual(["shared/a → shared/b → shared/a"]);
    expect(rules["no cycle between files, but for types"]?.(files)).toEqual(["test/x.ts → test/y.ts → test/x.ts"]);
  });
});
