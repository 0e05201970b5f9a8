/**
 * What requests cost in us-east-1 (N. Virginia), on demand, without free tiers and beneath the first step of any discount; looked up on
 * 2026-11-21 at https://aws.amazon.com/: dynamodb/pricing/on-demand/, s3/pricing/, sqs/pricing/, kms/pricing/, lambda/pricing/ and
 * api-gateway/pricing/. Dollars a million. Storage and transfer are not in it.
 */
const READ_UNIT = 0.125;
const WRITE_UNIT = 0.625;
const S3_READ = 0.4;
const S3_WRITE = 5;
const QUEUE = 0.4;
const FIFO = 0.5;
const UNSEAL = 3;
const INVOCATION = 0.2;
const HTTP_API = 1;
/** A million GB-seconds on arm64. */
const GB_SECOND = 13.3334;

/** A strongly consistent read of up to 4 KB is one unit, a write of up to 1 KB another. */
const READ_BYTES = 4096;
const WRITE_BYTES = 1024;
/** It is sent, received and deleted: at most that, since a function takes several at once. */
const REQUESTS_A_MESSAGE = 3;
/** So much memory comes with a whole core; with less, CPU takes longer in proportion, so that its GB-seconds are the same. */
const CORE_GB = 1769 / 1024;
/** What table and store take to answer, about. */
const WAIT_SECONDS = 0.005;

export type Call = { readonly name: string; readonly start: number; readonly end: number; readonly bytes: number };

export type Seen = {
  readonly calls: readonly Call[];
  /** Of this machine; that of the local endpoints is in it, so it is more than a function takes. */
  readonly cpuSeconds: number;
  /** How many requests go through the HTTP API, and how many functions are called with those. */
  readonly requests: number;
  readonly functions: number;
};

export type Dollars = Readonly<Record<"table" | "store" | "queues" | "keys" | "lambda" | "http", number>>;

/** What a million operations cost that each did this. A function's memory is taken for 1 GB while it waits. */
export function dollarsAMillion({ calls, cpuSeconds, requests, functions }: Seen): Dollars {
  const sum = (part: string) =>
    calls.filter(({ name }) => name.startsWith(`${part}.`)).reduce((total, call) => total + priceOf(call), 0);
  const gbSeconds = cpuSeconds * CORE_GB + roundsOf(calls) * WAIT_SECONDS;
  return {
    table: sum("table"),
    store: sum("objects"),
    queues: sum("queues"),
    keys: sum("sealer"),
    lambda: functions * INVOCATION + gbSeconds * GB_SECOND,
    http: requests * HTTP_API,
  };
}

/** How often requests have to be waited for: those that were under way at the same time count once. */
function roundsOf(calls: readonly Call[]): number {
  let rounds = 0;
  let over = Number.NEGATIVE_INFINITY;
  for (const { start, end } of calls.toSorted((a, b) => a.end - b.end)) {
    if (start < over) continue;
    rounds += 1;
    over = end;
  }
  return rounds;
}

function priceOf({ name, bytes }: Call): number {
  if (/^table\.(?:get|getMany|query)$/.test(name)) return READ_UNIT * Math.max(1, Math.ceil(bytes / READ_BYTES));
  if (name.startsWith("table.")) return WRITE_UNIT * Math.max(1, Math.ceil(bytes / WRITE_BYTES));
  if (name === "queues.publish") return FIFO * REQUESTS_A_MESSAGE;
  if (name.startsWith("queues.")) return QUEUE * REQUESTS_A_MESSAGE;
  if (name.startsWith("sealer.")) return UNSEAL;
  // An address is signed without the store; what is deleted costs nothing.
  if (/presign|delete/i.test(name)) return 0;
  // Its size is asked for, then a part of it.
  if (name === "objects.blobSource") return S3_READ * 2;
  return /^objects\.(?:put|takeIn|copy|hashIncoming|beginParts|completeParts)/.test(name) ? S3_WRITE : S3_READ;
}
