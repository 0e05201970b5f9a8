import { AppError } from "../../shared/error.ts";
import { type RunningServer, startServer } from "./server.ts";
import { localSettings } from "./settings.ts";

/** `npm start`: everything on this machine until it is told to end. */
async function main(): Promise<void> {
  const starting = startServer(localSettings(process.env, process.cwd()), (message) =>
    console.error(`packhouse: ${message}`),
  );
  endWhenTold(starting);
  const { url, folder } = await starting;
  console.log(`Packhouse is at ${url}`);
  console.log(`The root token is in ${folder.rootTokenFile}`);
  console.log(
    `Try: curl -H "Authorization: Bearer $(cat ${folder.rootTokenFile})" -d '{"name":"tools","type":"apt","accepts":["hello/debian/*/*"]}' ${url}/repo`,
  );
}

/** Also while it is starting: then as soon as it has started. A second signal ends it at once. */
function endWhenTold(starting: Promise<RunningServer>): void {
  let ending = false;
  const end = () => {
    if (ending) process.exit(1);
    ending = true;
    starting.then((server) => server.close()).then(() => process.exit(0), fail);
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

function fail(error: unknown): never {
  console.error(`packhouse: ${error instanceof AppError ? error.message : String(error)}`);
  process.exit(1);
}

main().catch(fail);
