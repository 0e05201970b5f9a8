import { Aws, type CfnElement, Stack, Validations } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { INCOMING_PREFIX } from "../shared/objects/keys.ts";
import type { FunctionName } from "./bundle.ts";
import type { Stored } from "./data.ts";
import type { Jobs, QueueName } from "./jobs.ts";
import type { NodeFunction } from "./node-function.ts";
import type { Schedules } from "./schedules.ts";

const INCOMING = `${INCOMING_PREFIX}*`;
const BLOBS = "blobs/*";
const POINTERS = "pointers/*";

type May = {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly delete?: readonly string[];
  readonly send: readonly QueueName[];
  /** May make and open the secrets of repos. */
  readonly seal?: true;
  /** May make and remove what comes to the worker at times to come. */
  readonly schedule?: true;
};

/** Who may touch which objects and queues. All read and write the table, and nobody may scan it. */
const MAY: Readonly<Record<FunctionName, May>> = {
  // An upload is presigned with the right of api itself, to write and for nothing else. It reads only whether one is there.
  // It seals the credentials of upstreams, and removes what a deleted repo left for clients.
  api: {
    read: [INCOMING, BLOBS],
    write: [INCOMING, BLOBS],
    delete: [POINTERS],
    send: ["ingest", "worker", "publish"],
    seal: true,
    schedule: true,
  },
  // Makes the publication of an old commit when it is asked for, signed; has files copied that are not ours yet.
  files: { read: [BLOBS], write: [BLOBS], send: ["worker"], seal: true },
  ingest: {
    read: [INCOMING, BLOBS],
    write: [INCOMING, BLOBS],
    // A copy whose hash turned out to be another than its address says goes at once.
    delete: [INCOMING, BLOBS],
    send: ["ingest", "worker", "publish"],
  },
  // What is too large for ingest is taken in here.
  worker: {
    read: [INCOMING, BLOBS],
    write: [INCOMING, BLOBS],
    delete: [INCOMING, BLOBS, POINTERS],
    send: ["ingest", "worker", "publish"],
    seal: true,
    schedule: true,
  },
  publish: {
    read: [BLOBS, POINTERS],
    write: [BLOBS, POINTERS],
    delete: [POINTERS],
    send: ["publish"],
    seal: true,
    schedule: true,
  },
};

const TABLE_ACTIONS = ["GetItem", "BatchGetItem", "Query", "PutItem", "BatchWriteItem", "UpdateItem", "DeleteItem"];

const SCHEDULE_ACTIONS = ["GetSchedule", "CreateSchedule", "UpdateSchedule", "DeleteSchedule"];

type Parts = { readonly stored: Stored; readonly jobs: Jobs; readonly schedules: Schedules };

export function allow(made: NodeFunction, name: FunctionName, { stored, jobs, schedules }: Parts): void {
  const { read, write, delete: remove = [], send, seal, schedule } = MAY[name];
  const grant = (actions: readonly string[], resources: readonly string[]) => {
    if (resources.length > 0)
      made.role.addToPrincipalPolicy(new PolicyStatement({ actions: [...actions], resources: [...resources] }));
  };
  const objects = (patterns: readonly string[]) => patterns.map((pattern) => stored.bucket.arnForObjects(pattern));

  grant(
    TABLE_ACTIONS.map((action) => `dynamodb:${action}`),
    [stored.table.tableArn],
  );
  // Without the right to list, S3 answers 403 for what is not there, and a missing object is no error of ours.
  // What a death left of an upload in parts is found by listing those under way.
  grant(["s3:ListBucket", "s3:ListBucketMultipartUploads"], [stored.bucket.bucketArn]);
  grant(["s3:GetObject"], objects(read));
  grant(["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], objects(write));
  grant(["s3:DeleteObject"], objects(remove));
  grant(
    ["sqs:SendMessage", "sqs:GetQueueAttributes"],
    send.map((queue) => jobs.queues[queue].queueArn),
  );
  if (seal) grant(["kms:Decrypt", "kms:GenerateDataKey"], [stored.sealingKey.keyArn]);

  if (schedule) {
    grant(
      SCHEDULE_ACTIONS.map((action) => `scheduler:${action}`),
      [schedules.anyOfGroup],
    );
    made.role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ["iam:PassRole"],
        resources: [schedules.role.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
      }),
    );
    Validations.of(made.role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:schedule/${schedules.groupName}/*]`,
      reason: `${name} keeps the schedules of upstreams, which are named as these are; the group holds no others`,
    });
  }

  const bucketId = Stack.of(stored).getLogicalId(stored.bucket.node.defaultChild as CfnElement);
  for (const pattern of new Set([...read, ...write, ...remove]))
    Validations.of(made.role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/${pattern}]`,
      reason: `${name} works on any object under ${pattern}: each is named by a hash, an upload or a repo`,
    });
}

/** What is read of buckets that are not ours, where upstreams lie. Their owners must allow it too. */
export function allowUpstreamBuckets(made: NodeFunction, buckets: readonly string[]): void {
  for (const bucket of buckets) {
    const arn = `arn:${Aws.PARTITION}:s3:::${bucket}`;
    made.role.addToPrincipalPolicy(new PolicyStatement({ actions: ["s3:ListBucket"], resources: [arn] }));
    made.role.addToPrincipalPolicy(new PolicyStatement({ actions: ["s3:GetObject"], resources: [`${arn}/*`] }));
    Validations.of(made.role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::${bucket}/*]`,
      reason: "an upstream may be any prefix of a bucket that the team named for upstreams",
    });
  }
}
