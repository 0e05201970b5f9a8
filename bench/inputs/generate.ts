import type { Stanza } from "./stanzas.ts";

/** Bytes of a stanza of Debian 12's main/amd64 without its index fields, at each twentieth of them. */
const SIZES = [
  205, 327, 348, 364, 378, 392, 404, 417, 430, 445, 460, 477, 495, 517, 542, 572, 613, 672, 757, 943, 76_088,
] as const;

/** The same packages each time. Names, relations and texts are made up; how long a stanza is, is as in Debian. */
export function generateStanzas(count: number): Stanza[] {
  const random = sequence(20261101);
  const names = Array.from({ length: count }, (_, index) => `${word(random, 2)}-${word(random, 1)}${index}`);
  return names.map((name) => {
    const version = `${pick(random, 20)}.${pick(random, 30)}.${pick(random, 10)}-${1 + pick(random, 4)}`;
    const architecture = random() < 0.5 ? "all" : "amd64";
    const head = `Package: ${name}\nVersion: ${version}\nArchitecture: ${architecture}\nMaintainer: ${word(random, 3)} <team@example.org>\nInstalled-Size: ${pick(random, 90_000)}\n`;
    const foot = `Section: ${word(random, 2)}\nPriority: optional\nDescription: ${word(random, 4)} ${word(random, 5)}\n`;
    const depends: string[] = [];
    let left = sizeOf(random) - head.length - foot.length - "Depends: \n".length;
    while (left > 0 && count > 1) {
      const other = `${names[pick(random, count)]} (>= ${pick(random, 9)}.${pick(random, 30)})`;
      depends.push(other);
      left -= other.length + 2;
    }
    const relations = depends.length > 0 ? `Depends: ${depends.join(", ")}\n` : "";
    return { name, version, architecture, control: head + relations + foot };
  });
}

function sizeOf(random: () => number): number {
  const at = random() * (SIZES.length - 1);
  const [low = 0, high = 0] = SIZES.slice(Math.floor(at));
  // The last twentieth rises steeply at its end.
  return low + (high - low) * (high > 2 * low ? (at % 1) ** 60 : at % 1);
}

function pick(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

const SYLLABLES = "ba ce di fo gu la me ni po ru sa te vi xo za lib py dev doc net".split(" ");

function word(random: () => number, syllables: number): string {
  return Array.from({ length: syllables }, () => SYLLABLES[pick(random, SYLLABLES.length)]).join("");
}

/** mulberry32 */
export function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
