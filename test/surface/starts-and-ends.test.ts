import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ended, runToEnd, send, startChild } from "../support/surface-child.ts";
import { deliver, expectWhole, parcel } from "../support/surface-writers.ts";

let bench: string;
beforeAll(() => {
  bench = mkdtempSync(join(tmpdir(), "packhouse-starts-"));
});
afterAll(() => rmSync(bench, { recursive: true, force: true }));

/** Every file below a folder with its hash. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    files
      .filter((file) => statSync(join(folder, file)).isFile())
      .map((file) => [
        file,
        createHash("sha256")
          .update(readFileSync(join(folder, file)))
          .digest("hex"),
      ]),
  );
}

function expectOneLine({ code, signal, out, err }: Ended, says: RegExp): void {
  expect({ code, signal, out }).toEqual({ code: 1, signal: null, out: "" });
  expect(err).toMatch(/^packhouse: [^\n]+\n$/);
  expect(err).toMatch(says);
}

/** A folder that was in use and is whole: one repo, one package. */
async function usedFolder(name: string): Promise<string> {
  const folder = join(bench, name);
  const child = await startChild(folder);
  await send(child, "POST", "/repo", { name: "tools", type: "apt", accepts: ["**"] });
  await deliver(child, parcel(1));
  await expectWhole(child, "tools", [parcel(1)].slice(1));
  child.kill("SIGTERM");
  await child.ended;
  return folder;
}

test("it starts in under five seconds, and tells its address, its token and one line to try", async () => {
  const start = performance.now();
  const child = await startChild(join(bench, "fresh"));
  expect(performance.now() - start).toBeLessThan(5_000);
  child.kill("SIGTERM");
  const { code, signal, out, err } = await child.ended;
  expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: "" });
  const token = join(bench, "fresh/root.token");
  expect(out.split("\n")[0]).toBe(`Packhouse is at ${child.url}`);
  expect(out).toContain(`The root token is in ${token}\n`);
  expect(out).toMatch(/^Try: curl .*\/repo$/m);
  expect(statSync(token).mode & 0o777).toBe(0o600);
});

test("SIGTERM and SIGINT end it cleanly, also amid uploads, and all that was answered is there at the next start", async () => {
  const folder = join(bench, "ending");
  const answered = [];
  for (const [round, signal] of (["SIGTERM", "SIGINT"] as const).entries()) {
    const child = await startChild(folder);
    if (round === 0) await send(child, "POST", "/repo", { name: "tools", type: "apt", accepts: ["**"] });
    const parcels = Array.from({ length: 8 }, (_, at) => parcel(round * 10 + at));
    const sent = parcels.map((one) => deliver(child, one).catch(() => false));
    await Promise.race(sent);
    child.kill(signal);
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    const done = await Promise.all(sent);
    answered.push(...parcels.filter((_, at) => done[at]));
  }
  const child = await startChild(folder);
  await expectWhole(child, "tools", answered);
  child.kill("SIGTERM");
  expect(await child.ended).toMatchObject({ code: 0, err: "" });
});

test("a request that hangs does not keep it from ending", async () => {
  const child = await startChild(join(bench, "hanging"));
  await send(child, "POST", "/packages/a/b/c/d", { name: "e.deb" });
  const asked = await send(child, "POST", "/packages/a/b/c/d", { name: "e.deb" });
  const waiting = fetch(`${asked.body.job}?wait=25`).catch(() => undefined);
  await expect.poll(async () => (await send(child, "GET", "/health")).status).toBe(200);
  const start = performance.now();
  child.kill("SIGTERM");
  expect(await child.ended).toMatchObject({ code: 0, signal: null });
  expect(performance.now() - start).toBeLessThan(15_000);
  await waiting;
});

test("a port that is taken is told in one line, and the folder is not touched", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const address = other.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  try {
    const folder = await usedFolder("port-taken");
    const before = contents(folder);
    expectOneLine(
      await runToEnd({ PACKHOUSE_DATA: folder, PACKHOUSE_PORT: port }),
      new RegExp(`${port}.*PACKHOUSE_PORT`),
    );
    expect(contents(folder)).toEqual(before);
    await runToEnd({ PACKHOUSE_DATA: join(bench, "never-made"), PACKHOUSE_PORT: port });
    expect(readdirSync(bench)).not.toContain("never-made");
  } finally {
    other.close();
  }
});

test("a file where the folder should be, or in the way to it, is told in one line and left as it is", async () => {
  const file = join(bench, "a-file");
  writeFileSync(file, "precious");
  expectOneLine(await runToEnd({ PACKHOUSE_DATA: file }), /a-file.*file/);
  expectOneLine(await runToEnd({ PACKHOUSE_DATA: join(file, "below") }), /below.*no folder/);
  expect(readFileSync(file, "utf8")).toBe("precious");
});

test("settings that make no sense are told in one line", async () => {
  expectOneLine(
    await runToEnd({ PACKHOUSE_DATA: join(bench, "x"), PACKHOUSE_PORT: "eighty" }),
    /PACKHOUSE_PORT is "eighty"/,
  );
  expectOneLine(
    await runToEnd({ PACKHOUSE_DATA: join(bench, "x"), PACKHOUSE_PUBLIC_URL: "tools" }),
    /PACKHOUSE_PUBLIC_URL/,
  );
  expectOneLine(
    await runToEnd({ PACKHOUSE_DATA: join(bench, "x"), PACKHOUSE_HOST: "203.0.113.9" }),
    /203\.0\.113\.9.*PACKHOUSE_HOST/,
  );
});

test("data of a newer format, and settings that are damaged, are told in one line, and nothing is changed", async () => {
  const folder = await usedFolder("newer");
  writeFileSync(join(folder, "format.json"), '{"format":99}\n');
  const before = contents(folder);
  expectOneLine(await runToEnd({ PACKHOUSE_DATA: folder }), /newer Packhouse \(format 99/);
  expect(contents(folder)).toEqual(before);
  for (const damaged of ["", "not json", "[]"]) {
    writeFileSync(join(folder, "format.json"), damaged);
    expectOneLine(await runToEnd({ PACKHOUSE_DATA: folder }), /newer/);
    expect(readFileSync(join(folder, "format.json"), "utf8")).toBe(damaged);
  }
});

test("a second server on one folder is refused in one line, and the first works on", async () => {
  const folder = join(bench, "two");
  const first = await startChild(folder);
  await send(first, "POST", "/repo", { name: "tools", type: "apt", accepts: ["**"] });
  expectOneLine(await runToEnd({ PACKHOUSE_DATA: folder }), /two.*(?:in use|uses)/);
  expect(await deliver(first, parcel(1))).toBe(true);
  first.kill("SIGTERM");
  expect(await first.ended).toMatchObject({ code: 0 });
  const again = await startChild(folder);
  expect((await send(again, "GET", "/repo/tools")).status).toBe(200);
  again.kill("SIGKILL");
  await again.ended;
});
