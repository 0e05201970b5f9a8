import { ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { afterEach, expect, test } from "vitest";
import { ensureTable } from "../../infra/local/table.ts";
import { objectsOf } from "../../shared/objects/s3.ts";
import { tableOf } from "../../shared/store/dynamo.ts";
import { tableService, uniqueName } from "../support/aws-endpoints.ts";
import { BUCKET, ownObjects } from "../support/objects-own.ts";

/** What goes in one request for many. */
const { start, end } = ownObjects();
afterEach(end);

test("items are written many at once, of one key the last, in the place of what was there", async () => {
  const { client, close } = await tableService();
  const name = uniqueName("many");
  await ensureTable(client, name);
  const requests: string[] = [];
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (given) => {
        requests.push(commandName ?? "");
        return next(given);
      },
    { step: "initialize" },
  );
  const table = tableOf(DynamoDBDocumentClient.from(client), name);
  const item = (n: number, value: string) => ({ pk: "p", sk: String(n).padStart(3, "0"), value, list: [n] });
  await table.put(item(3, "before"));
  const items = Array.from({ length: 60 }, (_, n) => item(n, "first"));
  requests.length = 0;
  await table.putMany([...items, item(7, "again")]);
  expect(requests).toEqual(["BatchWriteItemCommand", "BatchWriteItemCommand", "BatchWriteItemCommand"]);
  const { items: found } = await table.query("p");
  expect(found).toEqual(items.map((one, n) => (n === 7 ? item(7, "again") : one)));
  await table.putMany([]);
  expect(requests).toHaveLength(4);
  await close();
});

test("uploads are forgotten many at once, one or none, whether they are there or not", async () => {
  const { s3 } = await start();
  const objects = objectsOf(s3, s3, BUCKET);
  const left = async () => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    return Contents.map(({ Key }) => Key);
  };
  for (const id of ["a", "b", "c", "d"]) {
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `incoming/${id}`, Body: id }));
  }
  await objects.deleteIncoming();
  await objects.deleteIncoming("a", "c", "never");
  expect(await left()).toEqual(["incoming/b", "incoming/d"]);
  await objects.deleteIncoming("d");
  await objects.deleteIncoming("d");
  expect(await left()).toEqual(["incoming/b"]);
});
