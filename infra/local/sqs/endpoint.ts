import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type AwsAnswer,
  type AwsCredentials,
  type AwsRequest,
  awsAnswer,
  readAwsRequest,
  respond,
  verifierOf,
} from "../aws-request.ts";
import type { LocalDatabase } from "../database.ts";
import { noSuchQueue, SqsError } from "./errors.ts";
import { messageOperations, receive, sendTo } from "./messages.ts";
import type { Operation, Sqs } from "./operation.ts";
import { queueOperations } from "./queues.ts";
import { queueStore } from "./store.ts";
import { createWaiters } from "./waiters.ts";

export const LOCAL_ACCOUNT = "000000000000";
const MAX_REQUEST_BYTES = 4 << 20;
const EXPIRE_EVERY_MS = 60_000;
const TARGET = "AmazonSQS.";
const OPERATIONS = new Map<string, Operation>(Object.entries({ ...queueOperations, ...messageOperations }));

export type QueueEndpointOptions = {
  db: LocalDatabase;
  region: string;
  credentials: AwsCredentials;
  /** Where this endpoint is reached; queue URLs begin with it. */
  baseUrl: () => string;
  now?: () => number;
  /** Told of what was answered as our fault (500), a full disk for one. */
  onFault?: (error: unknown) => void;
};

/** SQS (AWS JSON 1.0) over the local database: what was answered is on the disk. */
export type QueueEndpoint = {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** The same for a request that came by another way; `gone`: nobody waits for the answer any more. */
  answer(request: AwsRequest, gone: AbortSignal): Promise<AwsAnswer>;
  /** As SendMessage. Within `db.transaction` it is sent when that commits. @throws SqsError */
  send(queueName: string, body: string, fifo?: { group: string; deduplicationId?: string }): void;
  /** At start: what a process that is no more had received can be received again at once. Returns how many. */
  releaseInFlight(): number;
  /** Ends the long polls. */
  close(): void;
};

export function createQueueEndpoint(options: QueueEndpointOptions): QueueEndpoint {
  const { db, region, baseUrl, now = Date.now } = options;
  const onFault = options.onFault ?? ((error) => console.error("queue:", error));
  const verify = verifierOf(options.credentials, region);
  const store = queueStore(db);
  const waiters = createWaiters(now);
  const sqs: Sqs = {
    store,
    now,
    urlOf: (name) => `${baseUrl().replace(/\/$/, "")}/${LOCAL_ACCOUNT}/${name}`,
    arnOf: (name) => `arn:aws:sqs:${region}:${LOCAL_ACCOUNT}:${name}`,
    queueAt(url) {
      if (!/^https?:\/\/[^/]+\/(.+\/)?[^/]+$/.test(url)) {
        throw new SqsError("InvalidAddress", `The address ${url} is not valid for this endpoint.`);
      }
      const queue = store.find(url.slice(url.lastIndexOf("/") + 1));
      if (!queue) throw noSuchQueue();
      return queue;
    },
    wake: (name) => waiters.wake(name),
  };
  const timer = setInterval(() => {
    try {
      db.transaction(() => store.expire(now()));
    } catch (error) {
      onFault(error);
    }
  }, EXPIRE_EVERY_MS);
  timer.unref();

  async function outputOf(request: AwsRequest, gone: AbortSignal): Promise<object> {
    const verdict = await verify(request, "sqs");
    if (verdict === "missing")
      throw new SqsError("MissingAuthenticationToken", "Request is missing Authentication Token");
    if (verdict !== "valid") {
      throw new SqsError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided.",
      );
    }
    const target = request.headers["x-amz-target"] ?? "";
    const name = target.startsWith(TARGET) ? target.slice(TARGET.length) : "";
    const input = parseBody(request.body);
    if (name === "ReceiveMessage") return receiveWaiting(input, gone);
    const operation = OPERATIONS.get(name);
    if (!operation) throw new SqsError("InvalidAction", `The action ${name || target} is not valid for this endpoint.`);
    return await db.together(() => operation.run(sqs, input));
  }

  async function receiveWaiting(input: unknown, gone: AbortSignal): Promise<object> {
    const { queue, waitSeconds, attempt } = receive(sqs, input);
    const deadlineMs = now() + waitSeconds * 1_000;
    while (!gone.aborted) {
      const { messages, woken } = await db.together(() => {
        const messages = attempt();
        // It waits from this very moment: a message that is sent by the next work of the same commit must wake it.
        const wait = () => waiters.wait(queue, deadlineMs, store.nextVisible(queue, now()), gone);
        return { messages, woken: messages.length > 0 ? undefined : wait() };
      });
      if (messages.length > 0) return { Messages: messages };
      if (!(await woken)) break;
    }
    return {};
  }

  async function answer(request: AwsRequest | undefined, gone: AbortSignal): Promise<AwsAnswer> {
    try {
      if (!request) throw tooLong();
      return awsAnswer(200, await outputOf(request, gone));
    } catch (error) {
      const known = error instanceof SqsError ? error : new SqsError("InternalFailure", messageOf(error));
      if (known !== error) onFault(error);
      const { type, queryCode, fault, status } = known.answer;
      const headers = { "x-amzn-query-error": `${queryCode};${fault}` };
      return awsAnswer(status, { __type: type, message: known.message }, headers);
    }
  }

  return {
    answer,
    async handle(request, response) {
      const gone = new AbortController();
      response.on("close", () => gone.abort());
      const read = await readAwsRequest(request, MAX_REQUEST_BYTES).catch(() => "gone" as const);
      if (read === "gone") return;
      const answered = await answer(read, gone.signal);
      if (!response.destroyed) respond(response, answered);
    },
    send(queueName, body, fifo) {
      const queue = store.find(queueName);
      if (!queue) throw noSuchQueue();
      const order = fifo ? { MessageGroupId: fifo.group, MessageDeduplicationId: fifo.deduplicationId } : {};
      db.transaction(() => sendTo(sqs, queue, { MessageBody: body, ...order }));
    },
    releaseInFlight() {
      const released = store.releaseInFlight(now());
      for (const { name } of store.queues()) waiters.wake(name);
      return released;
    },
    close() {
      clearInterval(timer);
      waiters.close();
    },
  };
}

function tooLong(): SqsError {
  return new SqsError("InvalidParameterValue", "One or more parameters are invalid. Reason: the request is too long.");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function parseBody(body: Uint8Array): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(Buffer.from(body).toString());
  } catch {
    throw new SqsError("SerializationException", "the body is no JSON");
  }
}
