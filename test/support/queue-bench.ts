import type { Message, ReceiveMessageCommandInput, SQS } from "@aws-sdk/client-sqs";
import { queueService, uniqueName } from "./aws-endpoints.ts";

type More = Partial<ReceiveMessageCommandInput>;

/** Queues of a test file's own on the service under contract. */
export type QueueBench = {
  sqs: SQS;
  queue(attributes?: Record<string, string>): Promise<string>;
  /** A FIFO queue; content-based deduplication unless `attributes` say otherwise. */
  fifo(attributes?: Record<string, string>): Promise<string>;
  arn(url: string): Promise<string>;
  attribute(url: string, name: string): Promise<string | undefined>;
  /** Up to ten, waiting at most 5 s for the first. */
  receive(url: string, more?: More): Promise<Message[]>;
  /** Exactly one, waiting at most 5 s. */
  one(url: string, more?: More): Promise<Message>;
  /** What is there now. */
  now(url: string, more?: More): Promise<Message[]>;
  close(): Promise<void>;
};

export async function queueBench(): Promise<QueueBench> {
  const { sqs, close } = await queueService();
  const made: string[] = [];
  const create = async (name: string, attributes: Record<string, string>) => {
    const { QueueUrl = "" } = await sqs.createQueue({ QueueName: name, Attributes: attributes });
    made.push(QueueUrl);
    return QueueUrl;
  };
  const attribute: QueueBench["attribute"] = async (url, name) => {
    const { Attributes = {} } = await sqs.getQueueAttributes({ QueueUrl: url, AttributeNames: ["All"] });
    return Object.entries(Attributes).find(([key]) => key === name)?.[1];
  };
  const receive: QueueBench["receive"] = async (url, more = {}) => {
    const input = { QueueUrl: url, WaitTimeSeconds: 5, MaxNumberOfMessages: 10, ...more };
    const { Messages = [] } = await sqs.receiveMessage(input);
    return Messages;
  };
  return {
    sqs,
    queue: (attributes = {}) => create(uniqueName("contract"), attributes),
    fifo: (attributes = {}) =>
      create(`${uniqueName("contract")}.fifo`, { FifoQueue: "true", ContentBasedDeduplication: "true", ...attributes }),
    attribute,
    arn: async (url) => (await attribute(url, "QueueArn")) ?? "",
    receive,
    async one(url, more = {}) {
      const [message] = await receive(url, { MaxNumberOfMessages: 1, ...more });
      if (!message) throw new Error("no message came");
      return message;
    },
    now: (url, more = {}) => receive(url, { WaitTimeSeconds: 0, ...more }),
    async close() {
      await Promise.all(made.map((QueueUrl) => sqs.deleteQueue({ QueueUrl }).catch(() => undefined)));
      await close();
    },
  };
}
