import { sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import { pathOf } from "../../shared/objects/keys.ts";
import type { Objects } from "../../shared/objects/s3.ts";
import type { Queues } from "../../shared/queue/sqs.ts";
import type { Schedule, Schedules } from "../../shared/schedule/eventbridge.ts";
import { localSealer } from "../../shared/signing/sealer.ts";
import { UPLOAD_TERMS } from "../../shared/upload-terms.ts";
import { type MemoryBlobs, memoryBlobs } from "./memory-blobs.ts";
import { type MemoryTable, memoryTable } from "./memory-table.ts";

export type Pointer = { bytes: Buffer; etag: string; metadata: Record<string, string> };

export type MemoryContext = Context & {
  readonly table: MemoryTable;
  readonly blobs: MemoryBlobs;
  readonly pointers: Map<string, Pointer>;
  /** What is to come, by name. */
  readonly planned: Map<string, Schedule>;
  /** What was sent to queues. */
  readonly sent: unknown[];
  /** Every write that had an effect, by the name of what it wrote. */
  readonly writes: string[];
  /** Asked before each call with its number, counted from 1, and name; what it throws is what the call throws. */
  before: (call: number, name: string) => void | Promise<void>;
  /** Asked when the call has had its effect. */
  after: (call: number, name: string) => void;
  /** Calls so far. */
  calls: number;
  clock: { ms: number };
  /** Another one with the same stored state, as a process that starts anew. */
  restarted(): MemoryContext;
};

type State = Pick<MemoryContext, "table" | "blobs" | "pointers" | "planned" | "clock">;

const SEALER = localSealer(Buffer.alloc(32, 7));

function newState(): State {
  return {
    table: memoryTable(),
    blobs: memoryBlobs(),
    pointers: new Map(),
    planned: new Map(),
    clock: { ms: Date.parse("2026-11-21T12:00:00Z") },
  };
}

function copyOf({ table, blobs, pointers, planned, clock }: State): State {
  const fresh = newState();
  for (const [sha256, bytes] of blobs.held) fresh.blobs.held.set(sha256, bytes);
  return {
    ...fresh,
    table: memoryTable(structuredClone(table.items)),
    pointers: new Map(pointers),
    planned: new Map(planned),
    clock: { ...clock },
  };
}

/** What the domain stands on, in memory: to count calls, and to have any one of them fail. */
export function memoryContext(state: State = newState()): MemoryContext {
  const { table, blobs, pointers, planned, clock } = state;
  const sent: unknown[] = [];
  const ctx: MemoryContext = {
    table,
    blobs,
    pointers,
    planned,
    sent,
    writes: [],
    before: () => {},
    after: () => {},
    calls: 0,
    clock,
    objects: objectsOver(blobs, pointers),
    queues: {
      ingest: async (message) => void sent.push(message),
      worker: async (message) => void sent.push(message),
      publish: async (message) => void sent.push(message),
      comeBack: async () => {},
      check: async () => {},
    } satisfies Queues,
    schedules: {
      put: async (name, schedule) => void planned.set(name, schedule),
      delete: async (name) => void planned.delete(name),
    } satisfies Schedules,
    sealer: SEALER,
    fetcher: { get: notHere, sleep: notHere, close: () => {} },
    foreign: { list: notHere, open: notHere },
    upstreamBuckets: [],
    publicUrl: "http://packhouse.test",
    uploadTerms: UPLOAD_TERMS,
    now: () => new Date(clock.ms),
    restarted: () => memoryContext(copyOf(state)),
  };
  return Object.assign(ctx, {
    table: watched(ctx, "table", table),
    objects: watched(ctx, "objects", ctx.objects),
    schedules: watched(ctx, "schedules", ctx.schedules),
  });
}

let versions = 0;

async function notHere(): Promise<never> {
  throw new Error("not in memory");
}

function objectsOver(blobs: MemoryBlobs, pointers: Map<string, Pointer>): Objects {
  return {
    putBlob: blobs.putBlob,
    getBlob: blobs.getBlob,
    openBlob: blobs.openBlob,
    blobSource: notHere,
    blobSize: async (sha256) => blobs.held.get(sha256)?.length,
    listBlobs: async (first, last) => {
      const found = [...blobs.held].filter(([sha256]) => sha256 >= first && sha256 <= last).sort();
      const page = found.slice(0, 1000).map(([sha256, { length }]) => ({ sha256, sizeBytes: length }));
      return { blobs: page, upTo: found.length > page.length ? page.at(-1)?.sha256 : undefined };
    },
    presignUpload: notHere,
    beginParts: notHere,
    presignParts: notHere,
    listParts: notHere,
    completeParts: notHere,
    abortParts: notHere,
    abortAllParts: notHere,
    incomingSource: () => ({ sizeBytes: 0, read: notHere }),
    takeInParts: notHere,
    headIncoming: notHere,
    hashIncoming: notHere,
    takeIn: notHere,
    deleteIncoming: notHere,
    headPointer: async (key) => {
      const found = pointers.get(pathOf(key));
      return { etag: found?.etag, metadata: { ...found?.metadata } };
    },
    getPointer: async (key) => pointers.get(pathOf(key))?.bytes,
    putPointer: async (key, bytes, before, metadata) => {
      if (pointers.get(pathOf(key))?.etag !== before.etag) return false;
      versions += 1;
      pointers.set(pathOf(key), { bytes: Buffer.from(bytes), etag: `"${versions}"`, metadata });
      return true;
    },
    putBlobStream: async (sha256, sizeBytes, bytes) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of bytes) chunks.push(chunk);
      const whole = Buffer.concat(chunks);
      if (sha256Of(whole) !== sha256 || whole.length !== sizeBytes) throw new Error("other bytes than announced");
      if (blobs.held.has(sha256)) return false;
      await blobs.putBlob(whole);
      return true;
    },
    deletePointer: async (key) => void pointers.delete(pathOf(key)),
    check: async () => {},
  };
}

const WRITES = new Set(["put", "putMany", "update", "delete", "putBlob", "putPointer", "deletePointer"]);

// biome-ignore lint/suspicious/noExplicitAny: methods of any shape are passed on as they are
type Methods = Record<string, any>;

function watched<T extends object>(ctx: MemoryContext, part: string, methods: T): T {
  const watching: Methods = { ...methods };
  for (const [name, method] of Object.entries(methods)) {
    if (typeof method !== "function") continue;
    watching[name] = async (...given: Methods[]) => {
      ctx.calls += 1;
      const call = ctx.calls;
      const told = `${part}.${name}`;
      await ctx.before(call, told);
      const result = await method(...given);
      if (WRITES.has(name) && result !== false) ctx.writes.push(`${told} ${subjectOf(given[0] ?? {})}`);
      ctx.after(call, told);
      return result;
    };
  }
  return watching as T;
}

function subjectOf(given: Methods): string {
  return String(given.path ?? (given.pk ? `${given.pk} ${given.sk}` : ""));
}
