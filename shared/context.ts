import type { Objects } from "./objects/s3.ts";
import type { Queues } from "./queue/sqs.ts";
import type { Sealer } from "./signing/sealer.ts";
import type { Table } from "./store/dynamo.ts";

/** What the domain stands on; made once a process by functions/context.ts. */
export type Context = {
  readonly table: Table;
  readonly objects: Objects;
  readonly queues: Queues;
  readonly sealer: Sealer;
  /** Without a slash at its end. */
  readonly publicUrl: string;
  now(): Date;
};
