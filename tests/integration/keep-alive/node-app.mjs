// A Node application as its defaults leave it: node node-app.mjs <keepAliveTimeout ms> <told|silent>. Silent ones keep
// connections just as long without saying so.
import { createServer } from "node:http";

const [, , timeout, manner] = process.argv;
const server = createServer((request, response) => {
  let length = 0;
  request.on("data", (chunk) => (length += chunk.length));
  request.on("end", () => {
    if (manner === "silent") response.setHeader("Connection", "keep-alive");
    response.end(`got ${length}`);
  });
});
server.keepAliveTimeout = Number(timeout);
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
