import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "./bench.ts";
import { median, RESULTS } from "./report.ts";

export const GROWTH_SIZES = [1_000, 10_000, 60_000, 250_000, 1_000_000];

type Point = readonly [size: number, seconds: number];
type Line = { readonly name: string; readonly points: readonly Point[]; readonly isLimit: boolean };
type Limit = { readonly seconds: number; readonly cpuSeconds: number };

const LIMIT = "SHA-256, one read, one write";

/** How time grows with size, by least squares on logarithms: 0 is not at all, 1 is linear. */
export function exponentOf(points: readonly Point[]): number {
  return slopeOf(points.map(([size, seconds]) => [Math.log(size), Math.log(seconds)] as const));
}

/** By least squares. */
function slopeOf(points: readonly Point[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return covariance / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

/** Microseconds that each further package costs. */
export function linearPartOf(points: readonly Point[]): number {
  return slopeOf(points) * 1e6;
}

/**
 * Of each work that was measured at several sizes its growth: by the clock, which is plotted to `growth.svg`, and of the server's CPU.
 * `limitOf` tells the seconds that no whole index can be beneath. Empty where there is but one size.
 */
export async function tellGrowth(rows: readonly Row[], limitOf: (size: number) => Promise<Limit>): Promise<string> {
  const names = [...new Set(rows.map(({ work }) => work))];
  const lines = (of: (row: Row) => readonly number[] | undefined) =>
    names.flatMap((name): Line[] => {
      const points = rows
        .filter(({ work }) => work === name)
        .flatMap((row): Point[] => {
          const seconds = of(row);
          return seconds ? [[row.size, median(seconds)]] : [];
        });
      return points.length > 1 ? [{ name, points: points.toSorted((a, b) => a[0] - b[0]), isLimit: false }] : [];
    });
  const timed = lines(({ seconds }) => seconds);
  if (timed.length === 0) return "";
  const sizes = [...new Set(timed.flatMap(({ points }) => points.map(([size]) => size)))].sort((a, b) => a - b);
  const limits: (readonly [number, Limit])[] = [];
  for (const size of sizes) limits.push([size, await limitOf(size)]);
  const limitLine = (of: keyof Limit): Line => ({
    name: LIMIT,
    points: limits.map(([size, limit]) => [size, limit[of]] as const),
    isLimit: true,
  });
  const all = [...timed, limitLine("seconds")];
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, "growth.svg"), svgOf(all));
  return [
    ...linesTold("by the clock", all),
    ...linesTold("of the server's CPU", [...lines(({ cpuSeconds }) => cpuSeconds), limitLine("cpuSeconds")]),
  ].join("\n");
}

/** Of each line its exponent and its linear constant, that beside the limit's, and its points. */
function linesTold(what: string, lines: readonly Line[]): string[] {
  const limit = linearPartOf(lines.at(-1)?.points ?? []);
  const widest = Math.max(...lines.map(({ name }) => name.length));
  return [
    `\n${what.padEnd(widest)}  size ^  µs a package  of the limit's`,
    ...lines.map(({ name, points }) => {
      const linear = linearPartOf(points);
      const cells = [
        name.padEnd(widest),
        exponentOf(points).toFixed(2).padStart(6),
        linear.toFixed(2).padStart(12),
        (linear / limit).toFixed(2).padStart(14),
      ];
      return `${cells.join("  ")}   ${points.map(([size, seconds]) => `${size}: ${seconds.toFixed(3)} s`).join("  ")}`;
    }),
  ];
}

const WIDTH = 900;
const HEIGHT = 500;
const EDGE = 60;
const LEGEND = 300;
const COLOURS = ["#06c", "#c30", "#080", "#a0a", "#c80", "#088", "#640", "#f39", "#447", "#9a0", "#000", "#77f"];

function svgOf(lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const [left, right] = rangeOf(all.map(([size]) => Math.log10(size)));
  const [low, high] = rangeOf(all.map(([, seconds]) => Math.log10(seconds)));
  const plot = WIDTH - EDGE - LEGEND;
  const x = (size: number) => EDGE + ((Math.log10(size) - left) / (right - left)) * plot;
  const y = (seconds: number) => HEIGHT - EDGE - ((Math.log10(seconds) - low) / (high - low)) * (HEIGHT - 2 * EDGE);
  const text = (at: readonly [number, number], words: string, anchor: string, more = "") =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}"${more}>${words}</text>`;
  const drawn = lines.flatMap(({ name, points, isLimit }, index) => {
    const colour = isLimit ? "#999" : COLOURS[index % COLOURS.length];
    const places = points.map(([size, seconds]) => `${x(size).toFixed(1)},${y(seconds).toFixed(1)}`);
    const label = `${name}: size ^ ${exponentOf(points).toFixed(2)}`;
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2"${isLimit ? ' stroke-dasharray="5 4"' : ""} points="${places.join(" ")}"/>`,
      text([WIDTH - LEGEND + 20, EDGE + index * 18], label, "start", ` fill="${colour}"`),
    ];
  });
  const powers = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  const sizes = [...new Set(all.map(([size]) => size))];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...powers.flatMap((power) => [
      `<path stroke="#ddd" d="M${EDGE} ${y(power).toFixed(1)}h${plot}"/>`,
      text([EDGE - 6, y(power) + 4], `${power} s`, "end"),
    ]),
    ...sizes.map((size) => text([x(size), HEIGHT - EDGE + 18], size.toLocaleString("en"), "middle")),
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

function rangeOf(logs: readonly number[]): [number, number] {
  const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  return low === high ? [low, high + 1] : [low, high];
}
