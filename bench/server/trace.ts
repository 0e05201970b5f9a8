import type { Context } from "../../shared/context.ts";

/** One request to table, store, queues or sealer; times in ms of this process's clock. */
export type Span = { readonly name: string; readonly start: number; readonly end: number; readonly bytes: number };

let spans: Span[] = [];

/** The spans since the last look. */
export function takeSpans(): Span[] {
  const taken = spans;
  spans = [];
  return taken;
}

/** A context that notes when each request began and ended, and how many bytes went either way. */
export function traced(given: Context): Context {
  return {
    ...given,
    table: noting("table", given.table),
    objects: noting("objects", given.objects),
    queues: noting("queues", given.queues),
    sealer: noting("sealer", given.sealer),
  };
}

function noting<T extends object>(part: string, methods: T): T {
  return new Proxy(methods, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...values: unknown[]) => {
        const start = performance.now();
        const note = (bytes: number) =>
          spans.push({ name: `${part}.${String(name)}`, start, end: performance.now(), bytes });
        const result: unknown = method.apply(target, values);
        if (!(result instanceof Promise)) return result;
        return result.then(
          (value) => {
            note(part === "table" ? itemBytes(value, values) : bytesIn(value) || Math.max(0, ...values.map(bytesIn)));
            return value;
          },
          (error: unknown) => {
            note(0);
            throw error;
          },
        );
      };
    },
  });
}

function bytesIn(value: unknown): number {
  return value instanceof Uint8Array ? value.length : 0;
}

/** A unit of reading; items that are asked for together are rounded up one by one, those that are missing too. */
const READ_BYTES = 4096;

/** About what the table counts: of a read what it answers, of a write what it is given. */
function itemBytes(value: unknown, values: readonly unknown[]): number {
  if (Array.isArray(value)) {
    return value.reduce<number>(
      (sum, item) => sum + Math.max(1, Math.ceil(jsonBytes(item) / READ_BYTES)) * READ_BYTES,
      0,
    );
  }
  return jsonBytes(typeof value === "object" && value !== null ? value : values);
}

function jsonBytes(value: unknown): number {
  return JSON.stringify(value ?? null).length;
}
