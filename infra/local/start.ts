import { AppError } from "../../shared/error.ts";
import { startServer } from "./server.ts";
import { localSettings } from "./settings.ts";

/** `npm start`: everything on this machine until it is told to end. */
async function main(): Promise<void> {
  const server = await startServer(localSettings(process.env, process.cwd()), (message) =>
    console.error(`packhouse: ${message}`),
  );
  const { url, folder } = server;
  console.log(`Packhouse is at ${url}`);
  console.log(`The root token is in ${folder.rootTokenFile}`);
  console.log(
    `Try: curl -H "Authorization: Bearer $(cat ${folder.rootTokenFile})" -d '{"name":"tools","type":"apt","accepts":["hello/debian/*/*"]}' ${url}/repo`,
  );
  let ending = false;
  const end = () => {
    if (ending) process.exit(1);
    ending = true;
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`packhouse: ${String(error)}`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

main().catch((error: unknown) => {
  console.error(`packhouse: ${error instanceof AppError ? error.message : String(error)}`);
  process.exit(1);
});
