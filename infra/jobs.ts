import { Duration, Stack } from "aws-cdk-lib";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { SqsEventSource, type SqsEventSourceProps } from "aws-cdk-lib/aws-lambda-event-sources";
import { CfnBucket } from "aws-cdk-lib/aws-s3";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { INCOMING_PREFIX } from "../shared/objects/keys.ts";
import { FUNCTION_SECONDS, MAX_RECEIVES } from "../shared/settings.ts";
import type { Stored } from "./data.ts";
import type { NodeFunction } from "./node-function.ts";

export const QUEUES = ["ingest", "worker", "publish"] as const;
export type QueueName = (typeof QUEUES)[number];

/** The poller's own retries when functions are throttled need six times a function's limit, says AWS. */
const TIMES_FUNCTION = 6;

/**
 * A repo whose publisher died waits for as long as its message is unseen, and so do all behind it: so that one is only just
 * over its function's limit.
 */
export const VISIBILITY_SECONDS: Readonly<Record<QueueName, number>> = {
  ingest: TIMES_FUNCTION * FUNCTION_SECONDS.ingest,
  worker: TIMES_FUNCTION * FUNCTION_SECONDS.worker,
  publish: FUNCTION_SECONDS.publish + 10,
};

/**
 * Of the 10 executions at a time that a new account has, these leave one to the requests at least; and with a limit here a
 * busy queue waits instead of being throttled, which would count as a try.
 */
const POLLING: Readonly<Record<QueueName, SqsEventSourceProps>> = {
  ingest: { batchSize: 10, maxBatchingWindow: Duration.seconds(0), maxConcurrency: 4 },
  worker: { batchSize: 1, maxConcurrency: 2 },
  publish: { batchSize: 10, maxConcurrency: 3 },
};

/** The three queues, each with its dead letters. */
export class Jobs extends Construct {
  readonly queues: Readonly<Record<QueueName, Queue>>;
  readonly deadLetters: Readonly<Record<QueueName, Queue>>;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.deadLetters = forEachQueue((name) =>
      this.makeQueue(`${name}-dead`, name === "publish", { retentionDays: 14 }),
    );
    this.queues = forEachQueue((name) =>
      this.makeQueue(name, name === "publish", {
        retentionDays: 4,
        visibilitySeconds: VISIBILITY_SECONDS[name],
        deadLetters: this.deadLetters[name],
      }),
    );
  }

  private makeQueue(
    id: string,
    fifo: boolean,
    wanted: { retentionDays: number; visibilitySeconds?: number; deadLetters?: Queue },
  ): Queue {
    return new Queue(this, id, {
      // Deduplication is by the ids we give; a content hash would merge messages that mean different commits.
      ...(fifo && { fifo: true, contentBasedDeduplication: false }),
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(wanted.retentionDays),
      ...(wanted.visibilitySeconds && { visibilityTimeout: Duration.seconds(wanted.visibilitySeconds) }),
      ...(wanted.deadLetters && { deadLetterQueue: { queue: wanted.deadLetters, maxReceiveCount: MAX_RECEIVES } }),
    });
  }

  /**
   * Uploads that arrive are told to `ingest`. Set on the bucket itself, not by CDK's own function. Copies are not told:
   * ingest copies an upload onto itself to learn its hash.
   */
  notifyOfUploads(stored: Stored): void {
    const queue = this.queues.ingest;
    queue.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal("s3.amazonaws.com")],
        actions: ["sqs:SendMessage"],
        resources: [queue.queueArn],
        // The bucket's own ARN would make a circle: the bucket is made once the queue lets it send.
        conditions: { StringEquals: { "aws:SourceAccount": Stack.of(this).account } },
      }),
    );
    const bucket = stored.bucket.node.defaultChild;
    if (!(bucket instanceof CfnBucket)) throw new Error("the bucket has no resource of its own");
    bucket.notificationConfiguration = {
      queueConfigurations: ["s3:ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"].map((event) => ({
        event,
        queue: queue.queueArn,
        filter: { s3Key: { rules: [{ name: "prefix", value: INCOMING_PREFIX }] } },
      })),
    };
    const policy = queue.node.tryFindChild("Policy");
    if (policy) bucket.node.addDependency(policy);
  }
}

/** Each queue to the function of its name. */
export function consume(jobs: Jobs, functions: Readonly<Record<QueueName, NodeFunction>>): void {
  for (const name of QUEUES) {
    functions[name].function.addEventSource(
      new SqsEventSource(jobs.queues[name], { reportBatchItemFailures: true, ...POLLING[name] }),
    );
  }
}

export function forEachQueue<T>(make: (name: QueueName) => T): Record<QueueName, T> {
  return { ingest: make("ingest"), worker: make("worker"), publish: make("publish") };
}
