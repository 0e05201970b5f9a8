import { randomBytes } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { putToken } from "../shared/access.ts";
import { tableOf } from "../shared/store/dynamo.ts";

/** `node infra/root-token.ts TABLE`: makes a root token for a deployed Packhouse, and shows it this once. */
const [, , name] = process.argv;
if (name === undefined) {
  console.error("usage: node infra/root-token.ts TABLE   (the stack's output Table)");
  process.exit(2);
}
const token = randomBytes(32).toString("base64url");
const table = tableOf(DynamoDBDocumentClient.from(new DynamoDBClient()), name);
await putToken({ table, now: () => new Date() }, token, "root");
console.log(token);
