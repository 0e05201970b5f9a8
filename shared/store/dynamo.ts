import { setTimeout as wait } from "node:timers/promises";
import { ConditionalCheckFailedException } from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import type { ItemKey } from "./keys.ts";

export type Item = ItemKey & Readonly<Record<string, unknown>>;

/** What must hold of the stored item for a write to happen. Names are attributes of the item itself. */
export type Condition =
  | { readonly absent: true }
  | { readonly present: true }
  | { readonly equals: Readonly<Record<string, string | number | boolean>> }
  | { readonly less: { readonly attribute: string; readonly than: string | number } };

export type Page = { readonly items: readonly Item[]; readonly next?: string };

export type QueryOptions = {
  readonly limit?: number;
  readonly newestFirst?: boolean;
  readonly after?: string;
  readonly beginsWith?: string;
};

/** The one table. Every call is one request; all reads are consistent. */
export type Table = {
  get(key: ItemKey): Promise<Item | undefined>;
  /** At most 100 keys, in one request; the answer is in the order of the keys. */
  getMany(keys: readonly ItemKey[]): Promise<readonly (Item | undefined)[]>;
  /** False when the condition did not hold; then nothing was written. */
  put(item: Item, condition?: Condition): Promise<boolean>;
  /** Writes items, whatever was there: one request for each 25. Should it fail, some of them may be written. */
  putMany(items: readonly Item[]): Promise<void>;
  /** Sets and removes attributes, making the item where there is none. False when the condition did not hold. */
  update(key: ItemKey, change: Change, condition?: Condition): Promise<boolean>;
  delete(key: ItemKey, condition?: Condition): Promise<boolean>;
  /** One page of a partition, in the order of the sort key; `after` continues behind that sort key. */
  query(partition: string, options?: QueryOptions): Promise<Page>;
};

export type Change = { readonly set?: Readonly<Record<string, unknown>>; readonly remove?: readonly string[] };

export const PAGE_ITEMS = 1000;

const BATCH_RETRIES = 8;
const MOST_PUTS = 25;

export function tableOf(client: DynamoDBDocumentClient, name: string): Table {
  return {
    async get(key) {
      const { Item } = await client.send(new GetCommand({ TableName: name, Key: bare(key), ConsistentRead: true }));
      return Item as Item | undefined;
    },

    async getMany(wanted) {
      const found = new Map<string, Item>();
      let open: Record<string, unknown>[] = distinct(wanted);
      for (let attempt = 0; open.length > 0; attempt += 1) {
        if (attempt > BATCH_RETRIES) throw new Error("the table did not answer every key of a batch");
        if (attempt > 0) await wait(2 ** attempt * 10);
        const { Responses, UnprocessedKeys } = await client.send(
          new BatchGetCommand({ RequestItems: { [name]: { Keys: open, ConsistentRead: true } } }),
        );
        for (const item of (Responses?.[name] ?? []) as Item[]) found.set(`${item.pk}\n${item.sk}`, item);
        open = UnprocessedKeys?.[name]?.Keys ?? [];
      }
      return wanted.map((key) => found.get(`${key.pk}\n${key.sk}`));
    },

    put(item, condition) {
      return held(() => client.send(new PutCommand({ TableName: name, Item: item, ...expressionOf(condition) })));
    },

    async putMany(items) {
      // Of one key twice the table takes none.
      const last = [...new Map(items.map((item) => [`${item.pk}\n${item.sk}`, item])).values()];
      for (let at = 0; at < last.length; at += MOST_PUTS) {
        let open = last.slice(at, at + MOST_PUTS).map((Item) => ({ PutRequest: { Item } }));
        for (let attempt = 0; open.length > 0; attempt += 1) {
          if (attempt > BATCH_RETRIES) throw new Error("the table did not take every item of a batch");
          if (attempt > 0) await wait(2 ** attempt * 10);
          const { UnprocessedItems } = await client.send(new BatchWriteCommand({ RequestItems: { [name]: open } }));
          open = (UnprocessedItems?.[name] ?? []) as typeof open;
        }
      }
    },

    update(key, change, condition) {
      const guard = expressionOf(condition);
      const names: Record<string, string> = { ...guard.ExpressionAttributeNames };
      const values: Record<string, unknown> = { ...guard.ExpressionAttributeValues };
      const sets = Object.entries(change.set ?? {}).map(([attribute, value], index) => {
        names[`#s${index}`] = attribute;
        values[`:s${index}`] = value;
        return `#s${index} = :s${index}`;
      });
      const removes = (change.remove ?? []).map((attribute, index) => {
        names[`#r${index}`] = attribute;
        return `#r${index}`;
      });
      const parts = [
        ...(sets.length > 0 ? [`SET ${sets.join(", ")}`] : []),
        ...(removes.length > 0 ? [`REMOVE ${removes.join(", ")}`] : []),
      ];
      return held(() =>
        client.send(
          new UpdateCommand({
            TableName: name,
            Key: bare(key),
            UpdateExpression: parts.join(" "),
            ...(guard.ConditionExpression === undefined ? {} : { ConditionExpression: guard.ConditionExpression }),
            ExpressionAttributeNames: names,
            ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}),
          }),
        ),
      );
    },

    delete(key, condition) {
      return held(() =>
        client.send(new DeleteCommand({ TableName: name, Key: bare(key), ...expressionOf(condition) })),
      );
    },

    async query(partition, options = {}) {
      const prefix = options.beginsWith;
      const { Items, LastEvaluatedKey } = await client.send(
        new QueryCommand({
          TableName: name,
          ConsistentRead: true,
          KeyConditionExpression: prefix === undefined ? "pk = :pk" : "pk = :pk AND begins_with(sk, :prefix)",
          ExpressionAttributeValues: { ":pk": partition, ...(prefix === undefined ? {} : { ":prefix": prefix }) },
          ScanIndexForward: !(options.newestFirst ?? false),
          Limit: options.limit ?? PAGE_ITEMS,
          ...(options.after === undefined ? {} : { ExclusiveStartKey: { pk: partition, sk: options.after } }),
        }),
      );
      const next = LastEvaluatedKey?.sk;
      return { items: (Items ?? []) as Item[], ...(typeof next === "string" ? { next } : {}) };
    },
  };
}

/** Walks a partition page by page. For partitions whose size a caller has bounded, or that stop early. */
export async function* everyItem(table: Table, partition: string, options: QueryOptions = {}): AsyncGenerator<Item> {
  let after = options.after;
  do {
    const page = await table.query(partition, { ...options, ...(after === undefined ? {} : { after }) });
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}

function bare({ pk, sk }: ItemKey): ItemKey {
  return { pk, sk };
}

function distinct(wanted: readonly ItemKey[]): ItemKey[] {
  return [...new Map(wanted.map((key) => [`${key.pk}\n${key.sk}`, bare(key)])).values()];
}

type Expression = {
  ConditionExpression?: string;
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Record<string, unknown>;
};

function expressionOf(condition: Condition | undefined): Expression {
  if (condition === undefined) return {};
  if ("absent" in condition) return { ConditionExpression: "attribute_not_exists(pk)" };
  if ("present" in condition) return { ConditionExpression: "attribute_exists(pk)" };
  if ("less" in condition) {
    return {
      ConditionExpression: "attribute_not_exists(#c) OR #c < :c",
      ExpressionAttributeNames: { "#c": condition.less.attribute },
      ExpressionAttributeValues: { ":c": condition.less.than },
    };
  }
  const pairs = Object.entries(condition.equals);
  return {
    ConditionExpression: pairs.map((_, index) => `#c${index} = :c${index}`).join(" AND "),
    ExpressionAttributeNames: Object.fromEntries(pairs.map(([attribute], index) => [`#c${index}`, attribute])),
    ExpressionAttributeValues: Object.fromEntries(pairs.map(([, value], index) => [`:c${index}`, value])),
  };
}

async function held(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}
