import { z } from "zod";
import { countsOf } from "../../test/support/surface-cost.ts";
import { newDeb } from "../inputs/debs.ts";
import { type Call, dollarsAMillion } from "../prices.ts";
import { type BenchPackhouse, copyOf, startBench } from "../server/packhouse.ts";
import { rest, send, until, untilPublished } from "../steps.ts";

/** `body` makes it a POST; of `[<id>]` in it each request has another. */
export type Operation = { readonly name: string; readonly path: string; readonly body?: string };

const Spans = z.array(z.object({ name: z.string(), start: z.number(), end: z.number(), bytes: z.number() }));
/** What the uploader itself asks of the store, and the event that the store sends of it. */
const PUT: Call[] = ["objects.putByClient", "queues.event"].map((name) => ({ name, start: 0, end: 0, bytes: 0 }));

type Told = { readonly functions?: number; readonly besides?: readonly Call[]; readonly cpuSeconds?: number };

/** Prints of each operation, once and warm, what it asks of table, store and queues, and what a million cost. */
export async function tellCosts(
  filled: string,
  operations: readonly (Operation & { readonly cpuSeconds: number })[],
): Promise<void> {
  const packhouse = await startBench({ dataFolder: copyOf(filled), trace: "spans" });
  const tell = async (
    name: string,
    once: () => Promise<unknown>,
    { functions = 1, besides = [], ...told }: Told = {},
  ) => {
    await packhouse.act(Spans, "spans");
    const before = await packhouse.act(z.number(), "cpu");
    await once();
    const cpuSeconds = told.cpuSeconds ?? (await packhouse.act(z.number(), "cpu")) - before;
    const calls = [...(await packhouse.act(Spans, "spans")), ...besides];
    const dollars = dollarsAMillion({ calls, cpuSeconds, requests: 1, functions });
    const sum = Object.values(dollars).reduce((total, one) => total + one, 0);
    const parts = Object.entries(dollars).filter(([, one]) => one > 0);
    const counts = Object.entries(countsOf(calls.map((call) => call.name))).map(([call, count]) => `${count} ${call}`);
    console.log(
      `${name.padEnd(22)} $${sum.toFixed(2).padStart(7)} a million: ${parts.map(([part, one]) => `${part} ${one.toFixed(2)}`).join(", ")}\n${" ".repeat(22)} ${counts.join(", ")}`,
    );
  };
  try {
    // What a start looks through is no part of any operation.
    await untilPublished(packhouse, "bench");
    await rest();
    for (const { name, path, body, cpuSeconds } of operations) {
      const ask = (id: string) =>
        body === undefined
          ? packhouse.ask("GET", path)
          : packhouse.ask("POST", path, JSON.parse(body.replace("[<id>]", id)));
      await ask("warm");
      await tell(name, () => ask("cost"), { cpuSeconds });
    }
    await tellUpload(packhouse, tell);
  } finally {
    await packhouse.remove();
  }
}

/** The second is told: the first is what a cold process does. */
async function tellUpload(
  packhouse: BenchPackhouse,
  tell: (name: string, once: () => Promise<unknown>, told: Told) => Promise<void>,
): Promise<void> {
  for (const number of [0, 1]) {
    const isTold = number === 1;
    const run: typeof tell = isTold ? tell : async (_, once) => void (await once());
    const { name, filename, bytes } = newDeb(number);
    let sha256 = "";
    const uploaded = async () => {
      ({ sha256 } = await send(packhouse, `${name}/debian/bookworm/amd64`, filename, bytes));
      const blob = `/blobs/${sha256.slice(0, 2)}/${sha256}/${filename}`;
      await until(async () => (await packhouse.ask("GET", blob)).status === 200, 50);
      // What follows takes some milliseconds, and to ask for it would be counted.
      await rest();
    };
    await run("upload", uploaded, { functions: 2, besides: PUT });
    const published = async () => {
      const pointer = "/apt/bench/dists/stable/InRelease";
      const { text } = await packhouse.ask("GET", pointer);
      await packhouse.call(z.unknown(), "PATCH", "/repo/bench/packages", { add: { [sha256]: {} } });
      await until(async () => (await packhouse.ask("GET", pointer)).text !== text, 50);
    };
    await run("commit and publication", published, { functions: 2 });
    await rest();
  }
}
