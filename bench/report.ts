import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "./bench.ts";
import { BENCH } from "./inputs/folder.ts";

export const RESULTS = join(BENCH, "results");

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = 0, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1);
  return (low + high) / 2;
}

const HEAD = ["work", "size", "median", "min", "max", "CPU", "peak", "peer", "its median", "ratio", ""];

/** The table that is printed; a peer's time that an earlier run measured has a star. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ work, size, seconds, cpuSeconds, peakMb, peers, note = "" }) => {
    const own = [
      work,
      String(size),
      shown(median(seconds)),
      shown(Math.min(...seconds)),
      shown(Math.max(...seconds)),
      cpuSeconds ? shown(median(cpuSeconds)) : "",
      `${peakMb.toFixed(0)} MB`,
    ];
    const beside = peers.map((peer) =>
      peer.seconds.length === 0
        ? [peer.name, "failed", ""]
        : [
            peer.name,
            `${shown(median(peer.seconds))}${peer.kept ? "*" : ""}`,
            (median(seconds) / median(peer.seconds)).toFixed(3),
          ],
    );
    const [first = ["", "", ""], ...others] = beside;
    return [[...own, ...first, note], ...others.map((one) => ["", "", "", "", "", "", "", ...one, ""])];
  });
  const table = [HEAD, ...lines];
  const widths = HEAD.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  const isText = (column: number) => column === 0 || column === 7 || column === 10;
  return table
    .map((line) =>
      line
        .map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function shown(seconds: number): string {
  return seconds < 0.1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

/** One entry for each peer; where there is none, one without. */
export function writeResults(rows: readonly Row[]): void {
  const entries = rows.flatMap<object>(({ work, size, seconds, cpuSeconds, peakMb, peers }) => {
    const cpu = cpuSeconds ? median(cpuSeconds) : null;
    const own = { work, size, seconds: median(seconds), cpu_seconds: cpu, peak_mb: Math.round(peakMb) };
    if (peers.length === 0) return [{ ...own, peer: null, peer_seconds: null, ratio: null }];
    return peers.map((peer) => {
      if (peer.seconds.length === 0) return { ...own, peer: peer.name, peer_seconds: null, ratio: null };
      const peerSeconds = median(peer.seconds);
      return { ...own, peer: peer.name, peer_seconds: peerSeconds, ratio: own.seconds / peerSeconds };
    });
  });
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, "latest.json"), `${JSON.stringify(entries, null, 2)}\n`);
}
