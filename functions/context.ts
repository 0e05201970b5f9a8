import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KMSClient } from "@aws-sdk/client-kms";
import { S3Client } from "@aws-sdk/client-s3";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SQSClient } from "@aws-sdk/client-sqs";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Context } from "../shared/context.ts";
import { foreignBucketsOf } from "../shared/objects/foreign.ts";
import { objectsOf } from "../shared/objects/s3.ts";
import { queuesOf } from "../shared/queue/sqs.ts";
import { type ScheduleTarget, schedulesOf } from "../shared/schedule/eventbridge.ts";
import { SETTINGS } from "../shared/settings.ts";
import { kmsSealer } from "../shared/signing/kms.ts";
import type { Sealer } from "../shared/signing/sealer.ts";
import { tableOf } from "../shared/store/dynamo.ts";
import { UPLOAD_TERMS } from "../shared/upload-terms.ts";
import { createFetcher } from "../shared/upstream/fetch.ts";

/** What tells one Packhouse from another, and where its clients lead. */
export type Surroundings = {
  readonly table: string;
  readonly bucket: string;
  readonly queueUrls: { readonly ingest: string; readonly worker: string; readonly publish: string };
  readonly publicUrl: string;
  readonly dynamo: DynamoDBClient;
  readonly s3: S3Client;
  /** Signs for the address that uploaders reach. */
  readonly presigner: S3Client;
  /** For buckets of others, which may lie in any region. */
  readonly foreignS3?: S3Client;
  readonly sqs: SQSClient;
  readonly scheduler: SchedulerClient;
  readonly scheduleTarget: ScheduleTarget;
  readonly sealer: Sealer;
  /** Whether upstreams may lie in the own network or on this machine. */
  readonly allowPrivateUpstreams: boolean;
  readonly connectionsPerHost?: number | undefined;
  /** Names with commas between them. */
  readonly upstreamBuckets?: string | undefined;
  readonly now?: () => Date;
};

/** How every S3 client of ours is made: no checksum of an empty body in presigned URLs, none asked for in downloads. */
export const S3_DEFAULTS = {
  requestChecksumCalculation: "WHEN_REQUIRED",
  responseChecksumValidation: "WHEN_REQUIRED",
} as const;

export function contextOf(given: Surroundings): Context {
  const documents = DynamoDBDocumentClient.from(given.dynamo, { marshallOptions: { removeUndefinedValues: true } });
  return {
    table: tableOf(documents, given.table),
    objects: objectsOf(given.s3, given.presigner, given.bucket),
    queues: queuesOf(given.sqs, given.queueUrls),
    schedules: schedulesOf(given.scheduler, given.scheduleTarget),
    sealer: given.sealer,
    fetcher: createFetcher({
      allowPrivate: given.allowPrivateUpstreams,
      maxPerHost: given.connectionsPerHost,
      connectTimeoutMs: 20_000,
      idleTimeoutMs: 60_000,
      userAgent: "Packhouse",
    }),
    foreign: foreignBucketsOf(given.foreignS3 ?? given.s3, bucketsOf(given.upstreamBuckets, given.bucket)),
    upstreamBuckets: bucketsOf(given.upstreamBuckets, given.bucket),
    publicUrl: given.publicUrl.replace(/\/+$/, ""),
    uploadTerms: UPLOAD_TERMS,
    now: given.now ?? (() => new Date()),
  };
}

let made: Context | undefined;

/** The context of a function in AWS: made once a process, from its environment. */
export function context(): Context {
  made ??= contextOf(surroundings());
  return made;
}

/** The local server runs the same handlers in its own process, and tells them what they stand on. */
export function useContext(ctx: Context): void {
  made = ctx;
}

function surroundings(): Surroundings {
  const s3 = new S3Client(S3_DEFAULTS);
  return {
    table: setting(SETTINGS.table),
    bucket: setting(SETTINGS.bucket),
    queueUrls: {
      ingest: setting(SETTINGS.ingestQueueUrl),
      worker: setting(SETTINGS.workerQueueUrl),
      publish: setting(SETTINGS.publishQueueUrl),
    },
    publicUrl: setting(SETTINGS.publicUrl),
    dynamo: new DynamoDBClient(),
    s3,
    presigner: s3,
    foreignS3: new S3Client({ ...S3_DEFAULTS, followRegionRedirects: true }),
    sqs: new SQSClient(),
    scheduler: new SchedulerClient(),
    scheduleTarget: {
      group: setting(SETTINGS.scheduleGroup),
      queueArn: setting(SETTINGS.workerQueueArn),
      deadLettersArn: setting(SETTINGS.workerDeadLettersArn),
      roleArn: setting(SETTINGS.scheduleRoleArn),
    },
    sealer: kmsSealer(new KMSClient(), setting(SETTINGS.kmsKeyId)),
    allowPrivateUpstreams: process.env[SETTINGS.allowPrivateUpstreams] === "1",
    connectionsPerHost: connectionsOf(process.env[SETTINGS.connectionsPerHost]),
    upstreamBuckets: process.env[SETTINGS.upstreamBuckets],
  };
}

/** Undefined where it is no number from 1 to 64: then the fetcher's own limit holds. */
export function connectionsOf(text: string | undefined): number | undefined {
  const count = Number(text);
  return Number.isInteger(count) && count >= 1 && count <= 64 ? count : undefined;
}

/** Our own is left out: who may name an upstream would read everything that we hold. */
export function bucketsOf(text: string | undefined, own: string): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== own);
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
