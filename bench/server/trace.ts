import type { Context } from "../../shared/context.ts";

/** One request to table, store, queues or sealer; times in ms of this process's clock. */
export type Span = {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly bytes: number;
  /** Of the main thread, so far, at its start and at its end. */
  readonly cpuMs: readonly [number, number];
  /** The files of the domain that asked for it, innermost first. */
  readonly from: readonly string[];
};

let spans: (Omit<Span, "from"> & { readonly stack: string })[] = [];

/** The spans since the last look. */
export function takeSpans(): Span[] {
  const taken = spans;
  spans = [];
  return taken.map(({ stack, ...span }) => ({ ...span, from: filesIn(stack) }));
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function filesIn(stack: string): string[] {
  const files = [...stack.matchAll(/file:\S*?\/(shared\/[\w/-]+)\.ts/g)].map(([, file = ""]) => file);
  return files.filter((file, index) => file !== files[index - 1]);
}

let counts: Record<string, number> = {};

/** How often each request was made since the last look. */
export function takeCounts(): Record<string, number> {
  const taken = counts;
  counts = {};
  return taken;
}

/** A context that counts requests and notes nothing else: for work of so many that the notes would be what is measured. */
export function counted(given: Context): Context {
  return watched(given, counting);
}

function counting<T extends object>(part: string, methods: T): T {
  return new Proxy(methods, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      const counted = `${part}.${String(name)}`;
      return (...values: unknown[]) => {
        counts[counted] = (counts[counted] ?? 0) + 1;
        return method.apply(target, values);
      };
    },
  });
}

/** A context that notes when each request began and ended, and how many bytes went either way. */
export function traced(given: Context): Context {
  return watched(given, noting);
}

function watched(given: Context, watch: <T extends object>(part: string, methods: T) => T): Context {
  return {
    ...given,
    table: watch("table", given.table),
    objects: watch("objects", given.objects),
    queues: watch("queues", given.queues),
    sealer: watch("sealer", given.sealer),
  };
}

function noting<T extends object>(part: string, methods: T): T {
  return new Proxy(methods, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...values: unknown[]) => {
        const start = performance.now();
        const asked = new Error("asked");
        const before = threadCpuMs();
        const note = (bytes: number) => {
          const cpuMs = [before, threadCpuMs()] as const;
          const end = performance.now();
          // As long as it is no text it holds on to what was called, and so to the bytes that were sent.
          const stack = asked.stack ?? "";
          spans.push({ name: `${part}.${String(name)}`, start, end, bytes, cpuMs, stack });
        };
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
