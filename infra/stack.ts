import { CfnOutput, Stack, type StackProps } from "aws-cdk-lib";
import type { Code } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { FUNCTION_SECONDS, SETTINGS } from "../shared/settings.ts";
import { Alarms } from "./alarms.ts";
import type { FunctionName } from "./bundle.ts";
import { Stored } from "./data.ts";
import { Edge } from "./edge.ts";
import { Http } from "./http.ts";
import { consume, Jobs } from "./jobs.ts";
import { NodeFunction } from "./node-function.ts";
import { allow, allowUpstreamBuckets } from "./permissions.ts";
import { Schedules } from "./schedules.ts";

export type PackhouseProps = StackProps & {
  readonly codeOf: (name: FunctionName) => Code;
  /** The source of the CloudFront function. */
  readonly edgeCode: string;
  /** A name of the team's own; without it, CloudFront's. The certificate lies in us-east-1. */
  readonly domain?: { readonly name: string; readonly certificateArn: string };
  readonly alarmEmail?: string;
  /** Buckets that upstreams of type dir may lie in. */
  readonly upstreamBuckets?: readonly string[];
  /** At most so many connections to one upstream's host at a time, of each worker. */
  readonly connectionsPerHost?: number;
};

/** CPU comes with memory: 1,769 MB are one whole core. */
const MEMORY_MB = { api: 1024, files: 1024, ingest: 1769, worker: 1769, publish: 1769 } as const;
/**
 * The worker sorts indexes that are larger than its memory, and holds a file of 5 GB whose hash nobody told; the others are
 * content with what every function has.
 */
const DISK_MB: Partial<Record<FunctionName, number>> = { worker: 8192 };

export class PackhouseStack extends Stack {
  constructor(scope: Construct, id: string, props: PackhouseProps) {
    super(scope, id, { description: "Packhouse: a package repository without a server", ...props });

    const stored = new Stored(this, "Stored");
    const jobs = new Jobs(this, "Jobs");
    jobs.notifyOfUploads(stored);
    const schedules = new Schedules(this, "Schedules", jobs);
    const http = new Http(this, "Http");
    const edge = new Edge(this, "Edge", {
      stored,
      http,
      code: props.edgeCode,
      ...(props.domain && { domain: props.domain }),
    });

    const { upstreamBuckets = [] } = props;
    const environment = {
      [SETTINGS.table]: stored.table.tableName,
      [SETTINGS.bucket]: stored.bucket.bucketName,
      [SETTINGS.ingestQueueUrl]: jobs.queues.ingest.queueUrl,
      [SETTINGS.workerQueueUrl]: jobs.queues.worker.queueUrl,
      [SETTINGS.publishQueueUrl]: jobs.queues.publish.queueUrl,
      [SETTINGS.workerQueueArn]: jobs.queues.worker.queueArn,
      [SETTINGS.workerDeadLettersArn]: jobs.deadLetters.worker.queueArn,
      [SETTINGS.scheduleGroup]: schedules.groupName,
      [SETTINGS.scheduleRoleArn]: schedules.role.roleArn,
      [SETTINGS.publicUrl]: edge.url,
      [SETTINGS.kmsKeyId]: stored.sealingKey.keyArn,
      [SETTINGS.allowPrivateUpstreams]: "0",
      [SETTINGS.connectionsPerHost]: String(props.connectionsPerHost ?? 4),
      [SETTINGS.upstreamBuckets]: upstreamBuckets.join(","),
    };
    const make = (name: FunctionName): NodeFunction => {
      const made = new NodeFunction(this, name, {
        code: props.codeOf(name),
        environment,
        memoryMb: MEMORY_MB[name],
        diskMb: DISK_MB[name],
        timeoutSeconds: FUNCTION_SECONDS[name],
      });
      allow(made, name, { stored, jobs, schedules });
      if (name === "worker") allowUpstreamBuckets(made, upstreamBuckets);
      return made;
    };
    const functions = {
      api: make("api"),
      files: make("files"),
      ingest: make("ingest"),
      worker: make("worker"),
      publish: make("publish"),
    };

    http.serve(functions);
    consume(jobs, functions);
    new Alarms(this, "Alarms", { jobs, http, functions, ...(props.alarmEmail && { email: props.alarmEmail }) });

    new CfnOutput(this, "Url", { value: edge.url });
    new CfnOutput(this, "Table", { value: stored.table.tableName });
    new CfnOutput(this, "Bucket", { value: stored.bucket.bucketName });
  }
}
