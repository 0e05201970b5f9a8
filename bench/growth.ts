import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "./bench.ts";
import { median, RESULTS } from "./report.ts";

export const GROWTH_SIZES = [1_000, 10_000, 60_000, 250_000, 1_000_000];

type Point = readonly [size: number, seconds: number];

/** How time grows with size, by least squares on logarithms: 0 is not at all, 1 is linear. */
export function exponentOf(points: readonly Point[]): number {
  const logs = points.map(([size, seconds]) => [Math.log(size), Math.log(seconds)] as const);
  const mean = (of: 0 | 1) => logs.reduce((sum, log) => sum + log[of], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [lx, ly]) => sum + (lx - x) * (ly - y), 0);
  return covariance / logs.reduce((sum, [lx]) => sum + (lx - x) ** 2, 0);
}

/** Microseconds that each further package costs, by least squares. */
function linearPartOf(points: readonly Point[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, [size, seconds]) => sum + (size - x) * (seconds - y), 0);
  return (covariance / points.reduce((sum, [size]) => sum + (size - x) ** 2, 0)) * 1e6;
}

/** Of each work that was measured at several sizes its growth, plotted too; `limitOf` tells the seconds that no index can be beneath. */
export async function tellGrowth(rows: readonly Row[], limitOf: (size: number) => Promise<number>): Promise<string> {
  const works = [...new Set(rows.map(({ work }) => work))];
  const lines: string[] = [];
  for (const work of works) {
    const points = rows
      .filter((row) => row.work === work)
      .map(({ size, seconds }): Point => [size, median(seconds)])
      .sort((a, b) => a[0] - b[0]);
    if (points.length < 2) continue;
    const limits: Point[] = [];
    for (const [size] of points) limits.push([size, await limitOf(size)]);
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(join(RESULTS, `${work}.svg`), svgOf(work, points, limits));
    const exponent = exponentOf(points).toFixed(2);
    const [own, limit] = [linearPartOf(points), linearPartOf(limits)];
    lines.push(`${work}: exponent ${exponent}; ${own.toFixed(2)} µs a package, the limit ${limit.toFixed(2)} µs`);
  }
  return lines.join("\n");
}

const WIDTH = 640;
const HEIGHT = 400;
const EDGE = 60;

function svgOf(work: string, points: readonly Point[], limits: readonly Point[]): string {
  const all = [...points, ...limits];
  const [left, right] = rangeOf(all.map(([size]) => Math.log10(size)));
  const [low, high] = rangeOf(all.map(([, seconds]) => Math.log10(seconds)));
  const x = (size: number) => EDGE + ((Math.log10(size) - left) / (right - left)) * (WIDTH - 2 * EDGE);
  const y = (seconds: number) => HEIGHT - EDGE - ((Math.log10(seconds) - low) / (high - low)) * (HEIGHT - 2 * EDGE);
  const line = (of: readonly Point[], style: string) =>
    `<polyline fill="none" ${style} points="${of.map(([size, s]) => `${x(size).toFixed(1)},${y(s).toFixed(1)}`).join(" ")}"/>`;
  const text = (at: readonly [number, number], words: string, anchor = "middle") =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}">${words}</text>`;
  const powers = Array.from({ length: high - low + 1 }, (_, index) => low + index);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${text([WIDTH / 2, 25], `${work}: time grows as size to the power ${exponentOf(points).toFixed(2)}`)}
${powers.map((power) => `<path stroke="#ddd" d="M${EDGE} ${y(10 ** power).toFixed(1)}H${WIDTH - EDGE}"/>${text([EDGE - 6, y(10 ** power) + 4], `${10 ** power} s`, "end")}`).join("\n")}
${points.map(([size, s]) => `${text([x(size), HEIGHT - EDGE + 18], size.toLocaleString("en"))}<circle cx="${x(size).toFixed(1)}" cy="${y(s).toFixed(1)}" r="4" fill="#06c"/>${text([x(size), y(s) - 9], s.toFixed(3))}`).join("\n")}
${line(points, 'stroke="#06c" stroke-width="2"')}
${line(limits, 'stroke="#999" stroke-dasharray="5 4"')}
${text([WIDTH - EDGE, HEIGHT - 12], "dashed: SHA-256 of the index, one read, one write", "end")}
</svg>
`;
}

function rangeOf(logs: readonly number[]): [number, number] {
  const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  return low === high ? [low, high + 1] : [low, high];
}
