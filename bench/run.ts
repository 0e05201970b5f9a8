/** What work at Debian's size takes, beside the tools that a user would pick instead: `npm run bench`. */
import { loadavg } from "node:os";
import { openBench, type Row, type Work } from "./bench.ts";
import { tellGrowth } from "./growth.ts";
import { optionsOf, USAGE } from "./options.ts";
import { closeGnupg, installPeers, machine } from "./peers/programs.ts";
import { tableOf, writeResults } from "./report.ts";
import { removeAll } from "./server/packhouse.ts";
import { api } from "./works/api.ts";
import { aptUpdate } from "./works/apt-update.ts";
import { chaos } from "./works/chaos.ts";
import { diffAndBack, oldCommit } from "./works/history.ts";
import { limitOf } from "./works/limit.ts";
import { manyUploads } from "./works/many-uploads.ts";
import { oneDeb } from "./works/one-deb.ts";
import { firstRpms, oneRpm } from "./works/rpm.ts";
import { syncFiles, syncMetadata } from "./works/sync.ts";
import { trace } from "./works/trace.ts";
import { firstPublication, nothingChanged, secondRepo } from "./works/whole-repo.ts";

const WORKS: readonly Work[] = [
  oneDeb,
  oneRpm,
  trace,
  firstPublication,
  firstRpms,
  nothingChanged,
  secondRepo,
  oldCommit,
  diffAndBack,
  manyUploads,
  aptUpdate,
  syncMetadata,
  syncFiles,
  chaos,
  api,
];

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  const unknown = options.only.filter((name) => !WORKS.some((work) => work.name === name));
  if (unknown.length > 0)
    throw new Error(`no work ${unknown.join(", ")}; there are ${WORKS.map(({ name }) => name).join(", ")}\n${USAGE}`);
  const start = performance.now();
  console.log(`${machine()}; load ${loadavg()[0]?.toFixed(1)}`);
  console.log(installPeers().join(" · "));
  const bench = openBench(options);
  const clean = () => {
    bench.end();
    removeAll();
    closeGnupg();
  };
  // A peer that is measured ends with the terminal's own signal, or when its folder is gone.
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.once(signal, () => {
      clean();
      process.exit(code);
    });
  }
  console.log(`packages: ${bench.source.what}`);
  const works = WORKS.filter(({ name, isQuick, growsNot = false }) => {
    if (options.only.length > 0) return options.only.includes(name);
    return options.growth ? !growsNot : isQuick || !options.quick;
  });
  const rows: Row[] = [];
  let failed = 0;
  try {
    for (const work of works) {
      for (const size of work.growsNot ? options.sizes.slice(-1) : options.sizes) {
        console.log(`\n${work.name}, ${size} packages: ${work.what}`);
        const began = performance.now();
        try {
          const made = await work.run(bench, size);
          rows.push(...made);
          console.log(tableOf(made));
        } catch (error) {
          failed += 1;
          console.error(error instanceof Error ? error.stack : String(error));
        }
        console.log(`with its set-up ${((performance.now() - began) / 1000).toFixed(0)} s`);
      }
    }
    console.log(await tellGrowth(rows, (size) => limitOf(bench, size)));
  } finally {
    clean();
  }
  console.log(`\n${tableOf(rows)}\n* measured by an earlier run on this machine`);
  writeResults(rows);
  console.log(`${((performance.now() - start) / 1000).toFixed(0)} s in all`);
  process.exit(failed === 0 ? 0 : 1);
}

await main();
