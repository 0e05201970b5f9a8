import type { ForeignBuckets } from "./objects/foreign.ts";
import type { Objects } from "./objects/s3.ts";
import type { Queues } from "./queue/sqs.ts";
import type { Schedules } from "./schedule/eventbridge.ts";
import type { Sealer } from "./signing/sealer.ts";
import type { Table } from "./store/dynamo.ts";
import type { UploadTerms } from "./upload-terms.ts";
import type { Fetcher } from "./upstream/fetch.ts";

/** What the domain stands on; made once a process by functions/context.ts. */
export type Context = {
  readonly table: Table;
  readonly objects: Objects;
  readonly queues: Queues;
  readonly schedules: Schedules;
  readonly sealer: Sealer;
  /** The only way to an upstream. */
  readonly fetcher: Fetcher;
  readonly foreign: ForeignBuckets;
  /** Buckets that an upstream of type dir may lie in; never our own. */
  readonly upstreamBuckets: readonly string[];
  /** Without a slash at its end. */
  readonly publicUrl: string;
  readonly uploadTerms: UploadTerms;
  now(): Date;
};
