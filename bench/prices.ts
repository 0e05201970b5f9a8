/**
 * Dollars a million, on demand in us-east-1 (2026-11): https://aws.amazon.com/dynamodb/pricing/on-demand/,
 * https://aws.amazon.com/s3/pricing/, https://aws.amazon.com/sqs/pricing/, https://aws.amazon.com/kms/pricing/. Transfer and Lambda's time are not in it.
 */
const READ_UNIT = 0.125;
const WRITE_UNIT = 0.625;
const S3_READ = 0.4;
const S3_WRITE = 5;
const QUEUE = 0.4;
const FIFO = 0.5;
const UNSEAL = 3;

const READ_BYTES = 4096;
const WRITE_BYTES = 1024;

type Call = { readonly name: string; readonly bytes: number };

/** What a million of an operation cost that asks for these. Every read of the table is a consistent one. */
export function dollarsAMillion(calls: readonly Call[]): number {
  return calls.reduce((sum, call) => sum + priceOf(call), 0);
}

function priceOf({ name, bytes }: Call): number {
  if (/^table\.(?:get|getMany|query)$/.test(name)) return READ_UNIT * Math.max(1, Math.ceil(bytes / READ_BYTES));
  if (name.startsWith("table.")) return WRITE_UNIT * Math.max(1, Math.ceil(bytes / WRITE_BYTES));
  if (name === "queues.publish") return FIFO;
  if (name.startsWith("queues.")) return QUEUE;
  if (name.startsWith("sealer.")) return UNSEAL;
  // An address is signed without the store; what is deleted costs nothing.
  if (/presign|delete/i.test(name)) return 0;
  return /^objects\.(?:put|takeIn|copy)/.test(name) ? S3_WRITE : S3_READ;
}
