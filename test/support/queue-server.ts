import { openDatabase } from "../../infra/local/database.ts";
import { serveQueues } from "./aws-endpoints.ts";

/** Serves a queue named `durable` over the database in the given folder, and prints the endpoint's URL. */
const { sqs, endpoint, url } = await serveQueues(openDatabase(process.argv[2] ?? ""));
endpoint.releaseInFlight();
await sqs.createQueue({ QueueName: "durable" });
process.stdout.write(`${url}\n`);
