// An instance of the application in compose.yaml: says who it is, tells its readiness, and ends in order.
import { createServer } from "node:http";
import process from "node:process";

const { INSTANCE = "app", PORT = "3000" } = process.env;
let ready = true;

const server = createServer((request, response) => {
  if (request.url === "/readyz") {
    response.statusCode = ready ? 200 : 503;
    response.end(ready ? "ready\n" : "stopping\n");
  } else response.end(`${INSTANCE}\n`);
});

server.listen(Number(PORT), () => console.log(`${INSTANCE} listens on ${PORT}`));

process.on("SIGTERM", () => {
  // The balancer sees it within an interval of its probes and sends nothing more; what is in flight is finished.
  ready = false;
  setTimeout(() => server.close(() => process.exit(0)), 3000);
});
