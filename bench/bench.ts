import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { debsFolder, debsIndex } from "./inputs/debs.ts";
import { INPUTS } from "./inputs/folder.ts";
import { rpmsFolder } from "./inputs/rpms.ts";
import { openSource, type Source } from "./inputs/stanzas.ts";
import type { Options } from "./options.ts";
import { versionOf } from "./peers/programs.ts";
import { type BenchPackhouse, copyOf, startBench } from "./server/packhouse.ts";
import { untilPublished } from "./steps.ts";

/** What a peer took for the same work, nothing where it failed; `kept` where an earlier run on this machine measured it. */
export type PeerTime = { readonly name: string; readonly seconds: readonly number[]; readonly kept: boolean };

export type Row = {
  readonly work: string;
  readonly size: number;
  readonly seconds: readonly number[];
  /** Of the server, all its threads; where a client did the work with it, or it was killed, it is not told. */
  readonly cpuSeconds?: readonly number[];
  /** Of the server that did the work. */
  readonly peakMb: number;
  readonly peers: readonly PeerTime[];
  /** What else was seen: requests, bytes. */
  readonly note?: string;
};

export type Work = {
  readonly name: string;
  readonly what: string;
  /** What is the same whatever the size is measured once. */
  readonly growsNot?: true;
  readonly isQuick: boolean;
  run(bench: Bench, size: number): Promise<Row[]>;
};

const Kept = z.record(z.string(), z.array(z.number()));

/** What works share in one run: inputs, set-ups and the folder they lie in. */
export type Bench = {
  readonly options: Options;
  readonly source: Source;
  readonly runs: number;
  /** A folder that goes with the run. */
  folder(name: string): string;
  /** How many of a size have files; none where growth is measured, whose trees are generated. */
  files(size: number): number;
  /** The stand-ins of a size. */
  debs(size: number): Promise<string>;
  rpms(size: number): Promise<string>;
  /** A Packhouse over a copy of a published, signed repo `bench` of that size; at rest. */
  published(
    type: "apt" | "yum",
    size: number,
    given?: { readonly trace?: "counts" | "spans" },
  ): Promise<BenchPackhouse>;
  /**
   * At most one: measured now, or, in a quick run, taken from an earlier one of the same version. One that fails is told, and breaks no
   * work. The first word of its name is its program's.
   */
  peer(name: string, work: string, size: number, measure: () => Promise<readonly number[]>): Promise<PeerTime[]>;
  /** Removes its folders; those of servers are not among them. */
  end(): void;
};

/** The most stand-ins that are made as files; trees beyond that are of listed packages alone. */
export const MOST_FILES = 60_000;

export function openBench(options: Options): Bench {
  const root = mkdtempSync(join(tmpdir(), "packhouse-bench-run-"));
  const source = openSource(options.packages);
  const seeds = new Map<string, Promise<string>>();
  const keptFile = join(INPUTS, "peers.json");
  const bench: Bench = {
    options,
    source,
    runs: options.runs,
    folder(name) {
      return mkdtempSync(join(root, `${name}-`));
    },
    files: (size) => (options.growth ? 0 : Math.min(size, MOST_FILES)),
    debs: (size) => debsFolder(source, Math.min(size, MOST_FILES)),
    rpms: (size) => rpmsFolder(source, Math.min(size, MOST_FILES)),
    async published(type, size, { trace }: { readonly trace?: "counts" | "spans" } = {}) {
      const name = `${type}-${size}`;
      const seed = seeds.get(name) ?? publishSeed(bench, type, size);
      seeds.set(name, seed);
      return startBench({ dataFolder: copyOf(await seed), ...(trace ? { trace } : {}) });
    },
    async peer(name, work, size, measure) {
      if (options.alone) return [];
      const known = readKept(keptFile);
      const key = `${source.id} ${name} ${versionOf(name.replace(/ .*/, ""))} ${work} ${size}`;
      const seconds = known[key];
      if (options.quick && seconds) return [{ name, seconds, kept: true }];
      let measured: readonly number[];
      try {
        measured = await measure();
      } catch (error) {
        console.error(`${name} failed at ${work}, ${size}: ${error instanceof Error ? error.message : error}`);
        return [{ name, seconds: [], kept: false }];
      }
      mkdirSync(INPUTS, { recursive: true });
      writeFileSync(keptFile, JSON.stringify({ ...readKept(keptFile), [key]: measured }, null, 2));
      return [{ name, seconds: measured, kept: false }];
    },
    end() {
      rmSync(root, { recursive: true, force: true });
    },
  };
  return bench;
}

function readKept(file: string): z.infer<typeof Kept> {
  return existsSync(file) ? Kept.parse(JSON.parse(readFileSync(file, "utf8"))) : {};
}

async function publishSeed(bench: Bench, type: "apt" | "yum", size: number): Promise<string> {
  const { packhouse, commit } = await withTree(bench, type, size);
  await commit();
  await untilPublished(packhouse, "bench");
  await packhouse.kill();
  return packhouse.dataFolder;
}

const Tree = z.object({ seconds: z.number(), holding: z.unknown() });

type Unpublished = { readonly dataFolder: string; readonly holding: unknown; readonly seconds: number };

const trees = new Map<string, Promise<Unpublished>>();

/** A Packhouse with an empty repo `bench` and a tree to which nothing refers; it did not write that itself, so that its memory is what `commit` takes. */
export async function withTree(bench: Bench, type: "apt" | "yum", size: number) {
  const name = `${type}-${size}`;
  const written = trees.get(name) ?? writtenTree(bench, type, size);
  trees.set(name, written);
  const { dataFolder, holding, seconds } = await written;
  const packhouse = await startBench({ dataFolder: copyOf(dataFolder) });
  await untilPublished(packhouse, "bench");
  const commit = () => packhouse.act(z.unknown(), "commit", { type, name: "bench", holding });
  return { packhouse, commit, treeSeconds: seconds };
}

async function writtenTree(bench: Bench, type: "apt" | "yum", size: number): Promise<Unpublished> {
  const writer = await startBench();
  await writer.call(z.unknown(), "POST", "/repo", { name: "bench", type, architectures: ["amd64"] });
  const listed = async () => (type === "yum" ? await bench.rpms(size) : debsIndex(await bench.debs(size)));
  const packages = bench.options.growth ? { generated: size } : { index: await listed(), count: size };
  const { seconds, holding } = await writer.act(Tree, "tree", { type, packages });
  await writer.kill();
  return { dataFolder: writer.dataFolder, holding, seconds };
}
