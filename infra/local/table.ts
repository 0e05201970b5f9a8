import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { crc32 } from "node:zlib";
import {
  CreateTableCommand,
  type DynamoDBClient,
  ResourceInUseException,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { TABLE_KEYS } from "../../shared/settings.ts";
import {
  type AwsAnswer,
  type AwsCredentials,
  type AwsRequest,
  awsAnswer,
  readAwsRequest,
  respond,
  type Verdict,
  verifierOf,
} from "./aws-request.ts";
import type { LocalDatabase } from "./database.ts";
import { type Done, type TableStore, tableStore } from "./table-store.ts";

/**
 * DynamoDB on one machine: dynalite's actions and validations over our database. Its own HTTP server is left out: it checks
 * no signature, and throws where nobody catches when the disk is full.
 */
export type TableEndpoint = {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** The same for a request that came by another way. */
  answer(request: AwsRequest): Promise<AwsAnswer>;
  close(): void;
};

export type TableEndpointOptions = {
  db: LocalDatabase;
  region: string;
  credentials: AwsCredentials;
  /** Told of what was answered as our fault (500), a full disk for one. */
  onFault?: (error: unknown) => void;
};

const require = createRequire(import.meta.url);
const validations: {
  checkTypes(input: unknown, types: unknown): Record<string, unknown>;
  checkValidations(input: unknown, types: unknown, custom: unknown, store: TableStore): void;
} = require("dynalite/validations");

const READS = [
  "BatchGetItem",
  "DescribeTable",
  "DescribeTimeToLive",
  "GetItem",
  "ListTables",
  "ListTagsOfResource",
  "Query",
  "Scan",
];
const WRITES = [
  "BatchWriteItem",
  "CreateTable",
  "DeleteItem",
  "DeleteTable",
  "PutItem",
  "TagResource",
  "UntagResource",
  "UpdateItem",
  "UpdateTable",
];
const OPERATIONS = new Map([...READS, ...WRITES].map((name) => [name, load(name)]));
const MAX_REQUEST_BYTES = 16 << 20;
const CORAL = "com.amazon.coral.service#";
const DYNAMO = "com.amazonaws.dynamodb.v20120810#";

type Operation = {
  run(store: TableStore, input: unknown, done: Done): void;
  types: unknown;
  custom: unknown;
};

function load(name: string): Operation {
  const file = name.charAt(0).toLowerCase() + name.slice(1);
  const { types, custom } = require(`dynalite/validations/${file}`);
  return { run: require(`dynalite/actions/${file}`), types, custom };
}

type Outcome = { status: number; body: unknown };

export function createTableEndpoint(options: TableEndpointOptions): TableEndpoint {
  const { db, region, credentials } = options;
  const onFault = options.onFault ?? ((error) => console.error("table:", error));
  const verify = verifierOf(credentials, region);
  let closed = false;
  const store = tableStore(db, region, () => closed);

  async function answer(request: AwsRequest): Promise<AwsAnswer> {
    const { status, body } = await outcomeOf(request);
    const answered = awsAnswer(status, body);
    answered.headers["x-amz-crc32"] = String(crc32(answered.body));
    return answered;
  }

  async function outcomeOf(request: AwsRequest): Promise<Outcome> {
    const verdict = await verify(request, "dynamodb");
    if (verdict !== "valid") return refusal(verdict);
    const [version, name = ""] = (request.headers["x-amz-target"] ?? "").split(".");
    const operation = version === "DynamoDB_20120810" ? OPERATIONS.get(name) : undefined;
    if (!operation) return { status: 400, body: { __type: `${CORAL}UnknownOperationException` } };
    if (closed) return { status: 500, body: { __type: `${DYNAMO}InternalServerError`, message: "shutting down" } };
    const input = parse(request.body);
    if (input === undefined) return { status: 400, body: { __type: `${CORAL}SerializationException` } };
    try {
      const checked = validations.checkTypes(input, operation.types);
      validations.checkValidations(checked, operation.types, operation.custom, store);
      const output = WRITES.includes(name) ? await writeAtOnce(operation, checked) : await read(operation, checked);
      return { status: 200, body: output };
    } catch (error) {
      if (isDynaliteError(error)) return { status: error.statusCode, body: error.body };
      onFault(error);
      const message = error instanceof Error ? error.message : "Internal server error";
      return { status: 500, body: { __type: `${DYNAMO}InternalServerError`, message } };
    }
  }

  function read(operation: Operation, input: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      operation.run(store, input, (error, output) => (error ? reject(error) : resolve(output)));
    });
  }

  /** One transaction, so one write to the disk, even for 25 items; and all or nothing when the disk is full. */
  function writeAtOnce(operation: Operation, input: unknown): Promise<unknown> {
    return db.together(() => {
      let outcome: { error: unknown; output: unknown } | undefined;
      operation.run(store, input, (error, output) => {
        outcome ??= { error, output };
      });
      if (!outcome) throw new Error("a write of dynalite did not end within its transaction");
      if (outcome.error) throw outcome.error;
      return outcome.output;
    });
  }

  return {
    answer,
    async handle(request, response) {
      const read = await readAwsRequest(request, MAX_REQUEST_BYTES).catch(() => "gone" as const);
      if (read === "gone") return;
      const tooLong = () => awsAnswer(413, { __type: `${CORAL}RequestEntityTooLarge` });
      respond(response, read ? await answer(read) : tooLong());
    },
    close() {
      closed = true;
    },
  };
}

function refusal(verdict: Exclude<Verdict, "valid">): Outcome {
  const [type, message] =
    verdict === "missing"
      ? ["MissingAuthenticationTokenException", "Request is missing Authentication Token"]
      : ["InvalidSignatureException", "The request signature we calculated does not match the signature you provided."];
  return { status: 400, body: { __type: CORAL + type, message } };
}

function parse(body: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString());
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function isDynaliteError(error: unknown): error is { statusCode: number; body: unknown } {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number" && "body" in error;
}

/** Makes the one table if it is not there; the same definition as the stack's. */
export async function ensureTable(client: DynamoDBClient, name: string): Promise<void> {
  try {
    await client.send(
      new CreateTableCommand({
        TableName: name,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [
          { AttributeName: TABLE_KEYS.partition, AttributeType: "S" },
          { AttributeName: TABLE_KEYS.sort, AttributeType: "S" },
        ],
        KeySchema: [
          { AttributeName: TABLE_KEYS.partition, KeyType: "HASH" },
          { AttributeName: TABLE_KEYS.sort, KeyType: "RANGE" },
        ],
      }),
    );
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  }
  await waitUntilTableExists({ client, maxWaitTime: 60, minDelay: 1 }, { TableName: name });
}
