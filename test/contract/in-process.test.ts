import { ConditionalCheckFailedException, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { QueueDoesNotExist, ReceiveMessageCommand, SendMessageCommand, SQS } from "@aws-sdk/client-sqs";
import { DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inProcess } from "../../infra/local/in-process.ts";
import { createQueueEndpoint, type QueueEndpoint } from "../../infra/local/sqs/endpoint.ts";
import { createTableEndpoint, ensureTable, type TableEndpoint } from "../../infra/local/table.ts";
import { CREDENTIALS, REGION, type Served, serve, temporaryDatabase } from "../support/aws-endpoints.ts";

/** The SDK's clients of the endpoints' own process reach them over no socket. */
const TableName = "table";
const key = { pk: "ü", sk: "k" };
let database: ReturnType<typeof temporaryDatabase>;
let table: TableEndpoint;
let queues: QueueEndpoint;
let served: Served;
let over: { sqs: SQS; dynamo: DynamoDBDocumentClient };
let within: { sqs: SQS; dynamo: DynamoDBDocumentClient };

beforeEach(async () => {
  database = temporaryDatabase();
  const options = { db: database.db, region: REGION, credentials: CREDENTIALS, onFault: () => undefined };
  table = createTableEndpoint(options);
  queues = createQueueEndpoint({ ...options, baseUrl: () => served.url });
  served = await serve((request, response) =>
    (String(request.headers["x-amz-target"]).startsWith("DynamoDB") ? table : queues).handle(request, response),
  );
  over = clientsWith({});
  within = inside();
  await ensureTable(new DynamoDBClient({ ...common(), requestHandler: inProcess(table.answer) }), TableName);
});
afterEach(async () => {
  queues.close();
  for (const { sqs, dynamo } of [over, within]) {
    sqs.destroy();
    dynamo.destroy();
  }
  await served.close();
  table.close();
  database.close();
});

const common = () => ({ endpoint: served.url, region: REGION, credentials: CREDENTIALS });

function clientsWith({ forQueues = {}, forTable = {}, ...more }: { forQueues?: object; forTable?: object }) {
  const dynamo = new DynamoDBClient({ ...common(), ...forTable, ...more });
  return { sqs: new SQS({ ...common(), ...forQueues, ...more }), dynamo: DynamoDBDocumentClient.from(dynamo) };
}

function inside(more: object = {}) {
  const forQueues = { requestHandler: inProcess(queues.answer), useQueueUrlAsEndpoint: false };
  return clientsWith({ forQueues, forTable: { requestHandler: inProcess(table.answer) }, ...more });
}

test("what is written by one way is read by the other", async () => {
  const QueueUrl = (await within.sqs.createQueue({ QueueName: "a" })).QueueUrl ?? "";
  expect(QueueUrl).toBe((await over.sqs.getQueueUrl({ QueueName: "a" })).QueueUrl);
  for (const [to, from] of [
    [within, over],
    [over, within],
  ] as const) {
    await to.dynamo.send(new PutCommand({ TableName, Item: { ...key, text: "ö", list: [1, { a: null }] } }));
    const { Item } = await from.dynamo.send(new GetCommand({ TableName, Key: key, ConsistentRead: true }));
    expect(Item).toEqual({ ...key, text: "ö", list: [1, { a: null }] });
    await to.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "ä\n" }));
    const { Messages = [] } = await from.sqs.send(new ReceiveMessageCommand({ QueueUrl }));
    expect(Messages.map(({ Body }) => Body)).toEqual(["ä\n"]);
  }
});

test("errors are the same, and requests that others signed are refused", async () => {
  const put = new PutCommand({ TableName, Item: key, ConditionExpression: "attribute_exists(pk)" });
  const receive = { QueueUrl: `${served.url}/000000000000/none` };
  for (const { dynamo, sqs } of [over, within]) {
    await expect(dynamo.send(put)).rejects.toThrow(ConditionalCheckFailedException);
    await expect(sqs.receiveMessage(receive)).rejects.toThrow(QueueDoesNotExist);
  }
  const other = inside({ credentials: { ...CREDENTIALS, secretAccessKey: "another" } });
  await expect(other.dynamo.send(new PutCommand({ TableName, Item: key }))).rejects.toThrow("signature");
  await expect(other.sqs.listQueues({})).rejects.toThrow("signature");
  expect((await over.dynamo.send(new GetCommand({ TableName, Key: key }))).Item).toBeUndefined();
});

test("who waits for a message is woken by one, and leaves when told to", async () => {
  const QueueUrl = (await within.sqs.createQueue({ QueueName: "a" })).QueueUrl ?? "";
  const wait = { QueueUrl, WaitTimeSeconds: 20 };
  const woken = within.sqs.receiveMessage(wait);
  await over.sqs.sendMessage({ QueueUrl, MessageBody: "now" });
  expect((await woken).Messages?.[0]?.Body).toBe("now");

  const leaving = new AbortController();
  const left = within.sqs.receiveMessage(wait, { abortSignal: leaving.signal });
  left.catch(() => {});
  // Behind it: by then it waits.
  await over.sqs.listQueues({});
  const start = performance.now();
  leaving.abort();
  await expect(left).rejects.toMatchObject({ name: "AbortError" });
  // Not when its time is over.
  expect(performance.now() - start).toBeLessThan(10_000);
  // It takes no message from those who stay.
  await over.sqs.sendMessage({ QueueUrl, MessageBody: "later" });
  const { Messages } = await over.sqs.receiveMessage(wait);
  expect(Messages?.[0]?.Body).toBe("later");
});

test("others have their turn between any two requests", async () => {
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  for (let request = 0; request < 50; request += 1) await within.dynamo.send(new GetCommand({ TableName, Key: key }));
  isOver = true;
  expect(turns).toBeGreaterThanOrEqual(50);
});
