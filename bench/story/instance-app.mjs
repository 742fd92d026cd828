// An instance of an application, in plain Node: node instance-app.mjs <port> <keepAlive ms> <lag ms> <manner>
// Manners: good; silent, about how long it keeps connections; slow, each answer 2 s late; reset, in the middle of each answer;
// hole, with a short queue. On SIGTERM it says that it is not ready, serves on for the lag, then closes as `server.close()`
// does. /story tells what it has seen, by balancer.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const [, , port = "0", keepAlive = "5000", lag = "0", manner = "good"] = process.argv;
const seen = {};
const inFlight = {};
let ready = true;
let leaving = false;

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://instance");
  if (pathname === "/readyz") return response.writeHead(ready ? 200 : 503).end();
  if (pathname === "/ready") ready = searchParams.get("is") === "yes";
  if (pathname === "/story" || pathname === "/ready") return response.end(JSON.stringify({ seen, inFlight }));
  work(request, response, Number(searchParams.get("ms") ?? 0));
});

function work(request, response, ms) {
  const story = request.headers["x-story"] ?? "";
  seen[story] = (seen[story] ?? 0) + 1;
  inFlight[story] = (inFlight[story] ?? 0) + 1;
  response.on("close", () => inFlight[story]--);
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => setTimeout(answer, manner === "slow" ? ms + 2000 : ms));
  function answer() {
    const body = Buffer.concat(parts);
    const fields = { "Content-Length": body.length, "X-Load-Id": request.headers["x-load-id"] ?? "" };
    if (manner === "silent") fields["Connection"] = "keep-alive";
    if (leaving) fields["Connection"] = "close";
    if (manner !== "reset") return response.writeHead(200, fields).end(body);
    response.writeHead(200, { ...fields, "Content-Length": 1000 });
    response.write("x".repeat(500));
    // Long enough that the half is on its way before the reset overtakes it.
    setTimeout(() => request.socket.resetAndDestroy(), 20);
  }
}

const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  socket.send(String(server.address().port));
  socket.on("message", (text) => socket.send(text));
  socket.on("error", () => {});
});

process.on("SIGTERM", () => {
  ready = false;
  leaving = true;
  setTimeout(() => {
    server.close(() => process.exit(0));
    for (const socket of sockets.clients) socket.close(1001);
    setTimeout(() => process.exit(0), 12_000).unref();
  }, Number(lag));
});

server.keepAliveTimeout = Number(keepAlive);
// A short queue, so that a stopped process is soon full.
const backlog = manner === "hole" ? 1 : 4096;
server.listen({ port: Number(port), host: "127.0.0.1", backlog }, () =>
  console.log(`listening on ${server.address().port}`),
);
