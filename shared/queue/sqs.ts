import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { type Sha256, sha256Of } from "../blob.ts";
import type { RepoType } from "../store/keys.ts";

/** A message names things and carries no state: whoever gets it reads what is true then. */
export type IngestMessage =
  | { readonly kind: "settle"; readonly path: string }
  /** Until all that belongs to it is here. */
  | { readonly kind: "wait"; readonly path: string }
  /** `upload`: of one in parts, of which nothing may stay when it is over. */
  | { readonly kind: "look"; readonly path: string; readonly upload?: string };
/**
 * `repair`: what follows from a repo's item; `resign`: what time has made due of one; `follow`: take over what it follows; `bury`: what is left of a deleted one; `sync`:
 * the newest sync of an upstream; `resync`: a new one of it; `repair-upstream`: what follows from its item; `copy`: a batch of its packages;
 * `fetch`: one file that a commit of a repo holds, and a client asked for.
 */
export type WorkerMessage =
  | {
      readonly kind: "backfill" | "repair" | "follow" | "bury" | "sync" | "resync" | "repair-upstream" | "resign";
      readonly type: RepoType;
      readonly name: string;
    }
  /** An upload too large for the function that is told of it. */
  | { readonly kind: "verify"; readonly upload: string }
  | { readonly kind: "copy"; readonly job: string; readonly batch: number }
  /** Repos drop what binaries at or below a path do not give any more. */
  | { readonly kind: "leave"; readonly path: string }
  /** What lay at or below a level of the discovery tree until then is to go. */
  | { readonly kind: "remove"; readonly path: string; readonly at: string }
  /** A set of packages that is too large for a request. */
  | { readonly kind: "packages"; readonly job: string }
  /** A job that nobody may be working on any more. */
  | { readonly kind: "watch"; readonly job: string }
  | {
      readonly kind: "fetch";
      readonly type: RepoType;
      readonly name: string;
      readonly commit: number;
      readonly sha256: Sha256;
    };
export type PublishMessage = { readonly type: RepoType; readonly name: string };

export type Queues = {
  ingest(message: IngestMessage, delaySeconds?: number): Promise<void>;
  worker(message: WorkerMessage, delaySeconds?: number): Promise<void>;
  /** In order within a repo. `reason` tells apart what is worth another publication, such as a commit's number. */
  publish(message: PublishMessage, reason: string): Promise<void>;
  /** Has a message that was received, and not worked, come again after so long; `arn` is that of its queue. */
  comeBack(arn: string, receiptHandle: string, seconds: number): Promise<void>;
  /** Throws where a queue does not answer. */
  check(): Promise<void>;
};

export const MAX_DELAY_SECONDS = 900;

export function queuesOf(client: SQSClient, urls: { ingest: string; worker: string; publish: string }): Queues {
  const standard = async (queueUrl: string, message: object, delaySeconds = 0) => {
    await client.send(
      new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: JSON.stringify(message),
        DelaySeconds: Math.min(Math.max(0, Math.ceil(delaySeconds)), MAX_DELAY_SECONDS),
      }),
    );
  };
  return {
    ingest: (message, delaySeconds) => standard(urls.ingest, message, delaySeconds),
    worker: (message, delaySeconds) => standard(urls.worker, message, delaySeconds),
    async publish(message, reason) {
      await client.send(
        new SendMessageCommand({
          QueueUrl: urls.publish,
          // Whoever has more of a repo at hand sends its name all the same.
          MessageBody: JSON.stringify({ type: message.type, name: message.name } satisfies PublishMessage),
          MessageGroupId: `${message.type}-${message.name}`,
          MessageDeduplicationId: sha256Of(`${message.type} ${message.name} ${reason}`),
        }),
      );
    },
    async comeBack(arn, ReceiptHandle, seconds) {
      const name = arn.slice(arn.lastIndexOf(":") + 1);
      const QueueUrl = Object.values(urls).find((url) => url.endsWith(`/${name}`));
      if (QueueUrl === undefined) throw new Error(`no queue of the name ${name}`);
      const VisibilityTimeout = Math.min(Math.max(0, Math.ceil(seconds)), MAX_DELAY_SECONDS);
      await client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout }));
    },
    async check() {
      await Promise.all(
        Object.values(urls).map((QueueUrl) =>
          client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] })),
        ),
      );
    },
  };
}
