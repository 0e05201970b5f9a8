/**
 * Everything that must hold before a change is done: `npm test`. Arguments narrow only vitest's part (`npm test -- signing`).
 * The last line is `N passed, N failed`: each test of vitest and each other step counts as one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { installRequirements, SEARCHED } from "./support/requirements.ts";
import { tallyOf } from "./support/vitest-report.ts";

const root = join(import.meta.dirname, "..");
const bin = join(root, "node_modules/.bin");
const env = { ...process.env, PATH: [bin, ...SEARCHED].join(delimiter) };
const VITEST_MINUTES = 60;

let passed = 0;
let failed = 0;
const failures: string[] = [];

function step(name: string, run: () => string | undefined): void {
  const start = performance.now();
  console.log(`\n== ${name}`);
  try {
    const told = run();
    if (told) console.log(told);
    passed += 1;
  } catch (error) {
    failed += 1;
    failures.push(name);
    console.log(error instanceof Error ? error.message : String(error));
  }
  console.log(`== ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** Its output goes where ours goes. */
function command(program: string, args: readonly string[], timeoutMinutes = 10): void {
  const ran = spawnSync(program, args, {
    cwd: root,
    env,
    stdio: ["ignore", "inherit", "inherit"],
    timeout: timeoutMinutes * 60_000,
    killSignal: "SIGKILL",
  });
  if (ran.error)
    throw new Error(`${program} could not run or took over ${timeoutMinutes} minutes: ${ran.error.message}`);
  if (ran.status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${ran.status ?? ran.signal}`);
}

function tests(filters: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-test-"));
  const file = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  let fault: string | undefined;
  console.log("\n== tests");
  try {
    command("vitest", ["run", ...reporters, ...filters], VITEST_MINUTES);
  } catch (error) {
    fault = String(error);
  }
  const tally = existsSync(file)
    ? tallyOf(JSON.parse(readFileSync(file, "utf8")), root)
    : { passed: 0, failed: 0, notes: [], slowest: [] };
  rmSync(folder, { recursive: true, force: true });
  passed += tally.passed;
  failed += tally.failed;
  failures.push(...tally.notes);
  // vitest may fail with every test passed: an unhandled error, a worker that died.
  if (tally.failed === 0 && (fault || tally.passed === 0)) {
    failed += 1;
    failures.push(`vitest: ${fault ?? "no test ran"}`);
  }
  console.log(`\nWhat takes longest:\n${tally.slowest.join("\n")}`);
}

step("programs", installRequirements);
step("types", () => void command("tsc", ["--noEmit"]));
step("lint", () => void command("biome", ["check", "--error-on-warnings"]));
step("bundles", () => void command("node", ["infra/bundle.ts"]));
step("synth", () => void command("cdk", ["synth", "--quiet"]));
tests(process.argv.slice(2));

for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
