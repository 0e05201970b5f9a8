import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createContext, Script } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle, bundleEdge, bundleFunction, FUNCTIONS } from "../../infra/bundle.ts";
import { SETTINGS } from "../../shared/settings.ts";
import { openWorkbench, type Workbench } from "../support/workbench.ts";

const root = join(import.meta.dirname, "../..");
let bench: Workbench;

beforeAll(async () => {
  bench = await openWorkbench("bundle");
});
afterAll(() => bench.remove());

/** As Lambda does: its own process, no node_modules in sight, only the settings in the environment. */
async function runAlone(file: string, script: string): Promise<string> {
  const settings = Object.values(SETTINGS).map((name) => [name, "http://127.0.0.1:1/x"]);
  const env = { ...Object.fromEntries(settings), AWS_REGION: "eu-central-1", PATH: process.env.PATH };
  const code = `const m = await import(${JSON.stringify(file)}); ${script}`;
  const options = { cwd: bench.folder, env };
  const ran = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], options);
  return ran.stdout.trim();
}

test("decompression, OpenPGP and the SDK survive bundling", async () => {
  const entry = await bench.file(
    "entry.ts",
    `import { S3Client } from ${JSON.stringify(join(root, "node_modules/@aws-sdk/client-s3/dist-es/index.js"))};
     import { decompress } from ${JSON.stringify(join(root, "shared/compression.ts"))};
     import { generateSigningKey, signCleartext } from ${JSON.stringify(join(root, "shared/signing/openpgp.ts"))};
     export async function all(xz: string): Promise<string> {
       new S3Client({});
       const { privateKeyArmored } = await generateSigningKey({ userId: "x", algorithm: "ed25519Legacy", now: new Date() });
       const signed = await signCleartext("signed\\n", [privateKeyArmored], new Date());
       const plain = await decompress("xz", Buffer.from(xz, "base64"), { maxBytes: 100 });
       return Buffer.from(plain).toString() + signed.split("\\n")[3];
     }`,
  );
  const file = join(bench.folder, "out/index.mjs");
  bundle(entry, file);
  const xz = await bench.run("sh", ["-c", "printf unpacked- | xz -c | base64 -w0"]);
  expect(await runAlone(file, `console.log(await m.all(${JSON.stringify(xz.output)}))`)).toBe("unpacked-signed");
});

test.each(FUNCTIONS)("the bundle of %s loads by itself and has a handler", async (name) => {
  const file = join(bundleFunction(name), "index.mjs");
  expect(await runAlone(file, "console.log(typeof m.handler, m.handler.length <= 2)")).toBe("function true");
});

describe("the edge function", () => {
  const edge = async (source: string): Promise<string> => {
    const entry = await bench.file("edge/edge.ts", source);
    return readFile(bundleEdge(entry, join(bench.folder, "edge/index.js")), "utf8");
  };

  test("becomes a script, in which handler stands at the top", async () => {
    const script = await readFile(bundleEdge(), "utf8");
    const world = createContext({ event: { request: { uri: "/apt/tools/dists/stable/InRelease", headers: {} } } });
    new Script(`${script}\nresult = JSON.stringify(handler(event));`).runInContext(world);
    expect(JSON.parse(String(world.result))).toEqual({
      uri: "/pointers/apt/tools/dists/stable/InRelease",
      headers: { "x-packhouse-path": { value: "/apt/tools/dists/stable/InRelease" } },
    });
  });

  test("leaves what CloudFront's runtime knows and rewrites what it does not", async () => {
    const script = await edge("export function handler(e: { a?: { b: number } }) { return e.a?.b ?? 1; }\n");
    expect(script).not.toMatch(/\?\.|\?\?|export|import/);
  });

  test.each([
    ["destructuring", "export function handler({ a }: { a: number }) { return a; }\n"],
    ["a class", "class A { b = 1; }\nexport function handler() { return new A().b; }\n"],
    ["a default", "export function handler(a = 1) { return a; }\n"],
    ["a library", 'import { readFileSync } from "node:fs";\nexport function handler() { return readFileSync; }\n'],
    ["another name", "export function handle() { return 1; }\n"],
    ["too many bytes", `export function handler() { return ${JSON.stringify("x".repeat(11_000))}; }\n`],
  ])("is refused with %s", async (_, source) => {
    await expect(edge(source)).rejects.toThrow();
  });
});
