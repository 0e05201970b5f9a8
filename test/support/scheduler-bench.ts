import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { createSchedulerEndpoint } from "../../infra/local/scheduler/endpoint.ts";
import { type Schedules, schedulesOf } from "../../shared/schedule/eventbridge.ts";
import { CREDENTIALS, eventually, REGION, serve, temporaryDatabase } from "./aws-endpoints.ts";

export const GROUP = "tests";

export type SchedulerBench = {
  readonly client: SchedulerClient;
  readonly schedules: Schedules;
  /** What came to queues, as `QUEUE BODY`. */
  readonly sent: string[];
  readonly faults: unknown[];
  url(): string;
  /** Moves the clock, and waits until nothing is due any more. */
  pass(minutes: number): Promise<void>;
  /** Ends and starts anew over the same database, later. */
  restart(minutes: number): Promise<void>;
  close(): Promise<void>;
};

/** The local scheduler with a clock of its own. Every message to a queue named `broken` fails. */
export async function schedulerBench(): Promise<SchedulerBench> {
  const database = temporaryDatabase();
  const sent: string[] = [];
  const faults: unknown[] = [];
  let nowMs = Date.parse("2026-11-01T00:00:30Z");
  const start = async () => {
    const endpoint = createSchedulerEndpoint({
      db: database.db,
      region: REGION,
      credentials: CREDENTIALS,
      now: () => nowMs,
      onFault: (error) => faults.push(error),
      send: (queue, body) => {
        if (queue === "broken") throw new Error("no such queue");
        sent.push(`${queue} ${body}`);
      },
    });
    return { endpoint, served: await serve(endpoint.handle) };
  };
  let running = await start();
  const clientOf = (endpoint: string) => new SchedulerClient({ endpoint, region: REGION, credentials: CREDENTIALS });
  let client = clientOf(running.served.url);
  const end = async () => {
    running.endpoint.close();
    client.destroy();
    await running.served.close();
  };
  const arn = (queue: string) => `arn:aws:sqs:${REGION}:000000000000:${queue}`;
  const target = {
    group: GROUP,
    queueArn: arn("worker"),
    deadLettersArn: arn("dead"),
    roleArn: "arn:aws:iam::000000000000:role/s",
  };
  const settled = () =>
    eventually(async () => {
      const row = database.db.statement("SELECT count(*) AS n FROM scheduler_schedule WHERE next <= ?").get(nowMs);
      return row?.n === 0 ? true : undefined;
    }, "nothing that is due");
  return {
    get client() {
      return client;
    },
    get schedules() {
      return schedulesOf(client, target);
    },
    sent,
    faults,
    url: () => running.served.url,
    async pass(minutes) {
      nowMs += minutes * 60_000;
      // Its timer counts real time: a change makes it look at the clock.
      await schedulesOf(client, target).put("wakes-it", {
        expression: "rate(9 days)",
        message: { kind: "resync", type: "apt", name: `at-${nowMs}` },
      });
      await settled();
    },
    async restart(minutes) {
      await end();
      nowMs += minutes * 60_000;
      running = await start();
      client = clientOf(running.served.url);
      await settled();
    },
    async close() {
      await end();
      database.close();
    },
  };
}
