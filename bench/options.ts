import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { GROWTH_SIZES } from "./growth.ts";

export type Options = {
  readonly quick: boolean;
  readonly growth: boolean;
  readonly packages: string | undefined;
  readonly sizes: readonly number[];
  readonly only: readonly string[];
  readonly runs: number;
  readonly profile: boolean;
  /** Peers are left out. */
  readonly alone: boolean;
  /** How often a server is killed in `chaos`. */
  readonly kills: number;
  /** Of what is random; told, so that it can be given again. */
  readonly seed: number;
};

export const USAGE = `npm run bench -- [--quick] [--growth] [--packages FILE] [--sizes 1000,60000] [--only WORK,…] [--runs N]
                 [--profile] [--alone] [--kills N] [--seed N]`;

export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      growth: { type: "boolean", default: false },
      alone: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      packages: { type: "string" },
      sizes: { type: "string" },
      only: { type: "string", default: "" },
      runs: { type: "string" },
      kills: { type: "string" },
      seed: { type: "string" },
    },
  });
  const { quick, growth, profile, alone, packages } = values;
  const number = (text: string) => {
    if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`${JSON.stringify(text)} is no number\n${USAGE}`);
    return Number(text);
  };
  return {
    quick,
    growth,
    profile,
    alone,
    packages,
    sizes: values.sizes?.split(",").map(number) ?? (growth ? GROWTH_SIZES : [60_000]),
    only: values.only.split(",").filter((name) => name !== ""),
    runs: number(values.runs ?? (quick || growth ? "3" : "5")),
    kills: number(values.kills ?? (quick ? "5" : "100")),
    seed: values.seed === undefined ? randomInt(1, 1_000_000) : number(values.seed),
  };
}
