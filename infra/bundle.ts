import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type BuildOptions, buildSync } from "esbuild";

export const FUNCTIONS = ["api", "files", "ingest", "worker", "publish"] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

const root = join(import.meta.dirname, "..");

/** Some libraries are CommonJS and require node's own modules, which an ES module can only do so. */
const REQUIRE =
  'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);';

/**
 * `functions/NAME.ts` and all it imports, the AWS SDK too (what runs is what was tested, and starts faster than the SDK of the
 * runtime), as one file. Names are kept, so that a stack trace reads without a source map. Answers the folder.
 */
export function bundleFunction(name: FunctionName): string {
  const folder = join(root, "dist", name);
  rmSync(folder, { recursive: true, force: true });
  bundle(join(root, "functions", `${name}.ts`), join(folder, "index.mjs"));
  return folder;
}

export function bundle(entry: string, outfile: string, options: BuildOptions = {}): void {
  buildSync({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    banner: { js: REQUIRE },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    logLevel: "silent",
    ...options,
  });
}

/** What CloudFront takes for one function, in bytes. */
const EDGE_LIMIT_BYTES = 10 * 1024;

/**
 * The runtime cloudfront-js-2.0 is ES 5.1 and a list of later features. What it lacks, esbuild rewrites where it can and
 * refuses where not. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html
 */
const EDGE_LACKS = {
  class: false,
  "default-argument": false,
  destructuring: false,
  generator: false,
  "object-extensions": false,
  "object-rest-spread": false,
  "array-spread": false,
} as const;

/** `functions/edge.ts` as CloudFront wants it: a script whose `function handler(event)` stands at the top. */
export function bundleEdge(
  entry = join(root, "functions/edge.ts"),
  outfile = join(root, "dist/edge/index.js"),
): string {
  mkdirSync(join(outfile, ".."), { recursive: true });
  bundle(entry, outfile, {
    platform: "neutral",
    target: "es2015",
    supported: EDGE_LACKS,
    banner: {},
    treeShaking: true,
  });
  const module = readFileSync(outfile, "utf8");
  const script = module.replace(/export\s*\{[^}]*\};?\s*$/, "");
  if (/^\s*(import|export)\b/m.test(script))
    throw new Error("functions/edge.ts does not become a script without imports");
  if (!/\bfunction handler\s*\(/.test(script)) throw new Error("functions/edge.ts has no function named handler");
  const sizeBytes = Buffer.byteLength(script);
  if (sizeBytes > EDGE_LIMIT_BYTES)
    throw new Error(`functions/edge.ts becomes ${sizeBytes} bytes: CloudFront takes ${EDGE_LIMIT_BYTES}`);
  writeFileSync(outfile, script);
  return outfile;
}

function printSize(name: string, path: string): void {
  const bytes = readFileSync(path);
  const kb = (size: number) => `${(size / 1024).toFixed(1)} KB`.padStart(10);
  console.log(`${name.padEnd(8)} ${kb(bytes.length)} ${kb(gzipSync(bytes).length)} gzip`);
}

if (import.meta.main) {
  try {
    for (const name of FUNCTIONS) printSize(name, join(bundleFunction(name), "index.mjs"));
    printSize("edge", bundleEdge());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
