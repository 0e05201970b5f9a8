import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import { AppError } from "../../../shared/error.ts";
import { type AwsCredentials, type AwsRequest, readAwsRequest, requestId, verifierOf } from "../aws-request.ts";
import type { LocalDatabase } from "../database.ts";
import { Definition, type ScheduleKey, type Stored, scheduleRows } from "./schedules.ts";
import { startTicker } from "./ticker.ts";

const PATH = "/schedules/";
const ACCOUNT = "000000000000";
const MAX_REQUEST_BYTES = 1 << 20;
const NAME = /^[0-9A-Za-z_.-]{1,64}$/;

export type SchedulerEndpointOptions = {
  db: LocalDatabase;
  region: string;
  credentials: AwsCredentials;
  /** Puts a message into a queue of this machine, within the transaction it is called in. */
  send: (queueName: string, body: string) => void;
  now?: () => number;
  /** Told of what was answered as our fault (500), and of what could not be sent. */
  onFault?: (error: unknown) => void;
};

/**
 * EventBridge Scheduler (REST JSON) over the local database: makes, changes, tells and removes schedules, and sends their messages
 * to queues. Groups need not be made. https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
 */
export type SchedulerEndpoint = {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Sends nothing more. */
  close(): void;
};

const STATUS = {
  ValidationException: 400,
  AccessDeniedException: 403,
  ResourceNotFoundException: 404,
  ConflictException: 409,
  InternalServerException: 500,
} as const;

class SchedulerError extends Error {
  readonly is: keyof typeof STATUS;
  constructor(is: keyof typeof STATUS, message: string) {
    super(message);
    this.is = is;
  }
}

const Body = z.looseObject({
  GroupName: z.string().regex(NAME).default("default"),
  ClientToken: z.string().optional(),
});

export function isSchedulerPath(url: string): boolean {
  return url.startsWith(PATH);
}

export function createSchedulerEndpoint(options: SchedulerEndpointOptions): SchedulerEndpoint {
  const { db, region, now = Date.now } = options;
  const onFault = options.onFault ?? ((error) => console.error("scheduler:", error));
  const verify = verifierOf(options.credentials, region);
  const rows = scheduleRows(db);
  const ticker = startTicker({
    db,
    rows,
    now,
    onFault,
    send: ({ definition: { Target } }) => options.send(Target.Arn.slice(Target.Arn.lastIndexOf(":") + 1), Target.Input),
  });

  async function answerTo(request: AwsRequest): Promise<object> {
    const verdict = await verify(request, "scheduler");
    if (verdict !== "valid") {
      const why = verdict === "missing" ? "Missing Authentication Token" : "The request signature does not match";
      throw new SchedulerError("AccessDeniedException", why);
    }
    const url = new URL(request.url, "http://scheduler");
    const name = decodeURIComponent(url.pathname.slice(PATH.length));
    if (!NAME.test(name)) throw new SchedulerError("ValidationException", `Name must match ${NAME.source}`);
    if (request.method === "POST" || request.method === "PUT") {
      return write({ name, replaces: request.method === "PUT" }, request.body);
    }
    const key = { group: url.searchParams.get("groupName") ?? "default", name };
    if (request.method === "GET") return told(key, existing(key));
    if (request.method === "DELETE") return remove(key);
    throw new SchedulerError("ValidationException", `${request.method} is not for a schedule`);
  }

  function write({ name, replaces }: { name: string; replaces: boolean }, body: Uint8Array): object {
    const { GroupName, ClientToken: _, Name: __, ...rest } = parsed(Body, jsonOf(body));
    const definition = parsed(Definition, rest);
    const key = { group: GroupName, name };
    db.transaction(() => {
      if (replaces) existing(key);
      else if (rows.find(key)) throw new SchedulerError("ConflictException", `Schedule ${name} already exists.`);
      rows.save(key, definition, now());
    });
    ticker.changed();
    return { ScheduleArn: arnOf(key) };
  }

  function remove(key: ScheduleKey): object {
    db.transaction(() => {
      existing(key);
      rows.remove(key);
    });
    ticker.changed();
    return {};
  }

  function existing(key: ScheduleKey): Stored {
    const found = rows.find(key);
    if (!found) throw new SchedulerError("ResourceNotFoundException", `Schedule ${key.name} does not exist.`);
    return found;
  }

  function told(key: ScheduleKey, { definition, createdMs, modifiedMs }: Stored): object {
    const times = { CreationDate: createdMs / 1000, LastModificationDate: modifiedMs / 1000 };
    return { Arn: arnOf(key), GroupName: key.group, Name: key.name, ...definition, ...times };
  }

  const arnOf = ({ group, name }: ScheduleKey) => `arn:aws:scheduler:${region}:${ACCOUNT}:schedule/${group}/${name}`;

  return {
    async handle(request, response) {
      let status = 200;
      let output: object;
      const headers: Record<string, string> = {};
      try {
        const read = await readAwsRequest(request, MAX_REQUEST_BYTES);
        if (!read) throw new SchedulerError("ValidationException", "the request is too long");
        output = await answerTo(read);
      } catch (error) {
        const known = knownError(error);
        if (known !== error && known.is === "InternalServerException") onFault(error);
        status = STATUS[known.is];
        headers["x-amzn-errortype"] = known.is;
        output = { Message: known.message };
      }
      if (response.destroyed) return;
      const bytes = Buffer.from(JSON.stringify(output));
      response.writeHead(status, {
        ...headers,
        "content-type": "application/json",
        "content-length": bytes.length,
        "x-amzn-requestid": requestId(),
      });
      response.end(bytes);
    },
    close: ticker.stop,
  };
}

function knownError(error: unknown): SchedulerError {
  if (error instanceof SchedulerError) return error;
  // Of the expression.
  if (error instanceof AppError && error.kind === "invalid")
    return new SchedulerError("ValidationException", error.message);
  return new SchedulerError("InternalServerException", error instanceof Error ? error.message : String(error));
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString());
  } catch {
    throw new SchedulerError("ValidationException", "the body is no JSON");
  }
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new SchedulerError("ValidationException", z.prettifyError(result.error));
}
