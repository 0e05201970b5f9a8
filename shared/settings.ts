/**
 * Names that the stack, the local server and the functions share. Only functions/context.ts reads them from the
 * environment.
 */
export const SETTINGS = {
  table: "PACKHOUSE_TABLE",
  bucket: "PACKHOUSE_BUCKET",
  ingestQueueUrl: "PACKHOUSE_INGEST_QUEUE_URL",
  workerQueueUrl: "PACKHOUSE_WORKER_QUEUE_URL",
  publishQueueUrl: "PACKHOUSE_PUBLISH_QUEUE_URL",
  workerQueueArn: "PACKHOUSE_WORKER_QUEUE_ARN",
  workerDeadLettersArn: "PACKHOUSE_WORKER_DEAD_LETTERS_ARN",
  /** The group of our schedules, and the role that sends their messages. */
  scheduleGroup: "PACKHOUSE_SCHEDULE_GROUP",
  scheduleRoleArn: "PACKHOUSE_SCHEDULE_ROLE_ARN",
  publicUrl: "PACKHOUSE_PUBLIC_URL",
  kmsKeyId: "PACKHOUSE_KMS_KEY_ID",
  /** "1": upstreams may lie at addresses that are not public. */
  allowPrivateUpstreams: "PACKHOUSE_ALLOW_PRIVATE_UPSTREAMS",
  /** At most so many connections to one upstream's host at a time. */
  connectionsPerHost: "PACKHOUSE_CONNECTIONS_PER_HOST",
  /** Buckets that upstreams of type dir may lie in, with commas between them. */
  upstreamBuckets: "PACKHOUSE_UPSTREAM_BUCKETS",
} as const;

/** The one table: every item has these two string keys. No index is needed so far: every look-up is by key. */
export const TABLE_KEYS = { partition: "pk", sort: "sk" } as const;

/** Seconds a function may take. A queue keeps a message away for six times that (AWS advice), publish for little more. */
export const FUNCTION_SECONDS = { api: 30, files: 30, ingest: 120, worker: 900, publish: 180 } as const;

/** A message is tried this often before it goes to the dead letters. */
export const MAX_RECEIVES = 5;
