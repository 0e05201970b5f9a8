import { openStoreDatabase } from "./copies.ts";
import { openDataFolder } from "./data-folder.ts";
import { openEndpoints, STORE_PATH } from "./endpoints.ts";
import { localSettings } from "./settings.ts";

/**
 * `npm run aws`: the local AWS endpoints alone, for another implementation's tests or for the AWS command line. Port and
 * folder as for `npm start`; what it prints can be set in a shell.
 */
const settings = localSettings(process.env, process.cwd());
const folder = openDataFolder(settings.dataFolder);
const db = openStoreDatabase(folder, (message) => console.error(message));
const endpoints = await openEndpoints(db, folder, { port: settings.port });
console.log(`AWS_ENDPOINT_URL_S3=${endpoints.url}${STORE_PATH}
AWS_ENDPOINT_URL_SQS=${endpoints.url}
AWS_ENDPOINT_URL_DYNAMODB=${endpoints.url}
AWS_ENDPOINT_URL_SCHEDULER=${endpoints.url}
AWS_REGION=${folder.aws.region}
AWS_ACCESS_KEY_ID=${folder.aws.accessKeyId}
AWS_SECRET_ACCESS_KEY=${folder.aws.secretAccessKey}`);

process.once("SIGTERM", end);
process.once("SIGINT", end);

async function end(): Promise<void> {
  await endpoints.close();
  db.close();
}
