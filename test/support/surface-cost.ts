import type { Context } from "../../shared/context.ts";

export type Counted = { readonly ctx: Context /** What was asked since the last look, in order. */; calls(): string[] };

/** A context that notes each request to table, store and queues. Every method of theirs is one request. */
export function counted(given: Context): Counted {
  let noted: string[] = [];
  const noting = <T extends object>(part: string, methods: T): T =>
    Object.fromEntries(
      Object.entries(methods).map(([name, method]: [string, (...values: unknown[]) => unknown]) => [
        name,
        (...values: unknown[]) => {
          noted.push(`${part}.${name}`);
          return method(...values);
        },
      ]),
    ) as T;
  const ctx: Context = {
    ...given,
    table: noting("table", given.table),
    objects: noting("objects", given.objects),
    queues: noting("queues", given.queues),
  };
  return {
    ctx,
    calls() {
      const last = noted;
      noted = [];
      return last;
    },
  };
}

export function countsOf(calls: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const call of calls) counts[call] = (counts[call] ?? 0) + 1;
  return counts;
}
