// A small web shop without dependencies, as plain as Node applications often are: sessions in memory, a health and a
// readiness endpoint, one slow page, live stock over server-sent events, a WebSocket, and an orderly end on SIGTERM.
// `plimsoll demo` runs three of it. By itself: PORT=3000 node server.mjs
import { createServer } from "node:http";
import { hostname } from "node:os";
import { find, products, take, tick } from "./catalogue.mjs";
import { cartPage, shopPage, stockPage } from "./pages.mjs";
import { sessionOf } from "./sessions.mjs";
import { echo } from "./websocket.mjs";

const port = Number(process.env.PORT ?? 3000);
const instance = process.env.PLIMSOLL_INSTANCE ?? `shop-${hostname()}`;
const mostBody = 64 * 1024;
const longestDelay = 60_000;

let stopping = false;
/** What POST /readyz?ready=no sets. */
let unready = false;
const streams = new Set();
const tunnels = new Set();

const server = createServer((request, response) => {
  response.setHeader("X-Instance", instance);
  answer(request, response).catch((error) => {
    process.stderr.write(`${request.method} ${request.url}: ${error.stack}\n`);
    if (!response.headersSent) send(response, 500, "text/plain", "Something went wrong in the shop.\n");
    else response.destroy();
  });
});

async function answer(request, response) {
  const url = new URL(request.url ?? "/", "http://shop.invalid");
  const name = `${request.method === "HEAD" ? "GET" : request.method} ${url.pathname}`;
  switch (name) {
    case "GET /": {
      const session = begin(request, response);
      return send(response, 200, "text/html; charset=utf-8", shopPage(instance, session));
    }
    case "GET /cart": {
      const session = begin(request, response);
      return send(response, 200, "text/html; charset=utf-8", cartPage(instance, session));
    }
    case "POST /cart":
      return addToCart(request, response);
    case "GET /stock": {
      const session = begin(request, response);
      return send(response, 200, "text/html; charset=utf-8", stockPage(instance, session));
    }
    case "GET /stock/events":
      return streamStock(request, response);
    case "GET /api/products":
      return send(response, 200, "application/json", JSON.stringify({ instance, products }));
    case "GET /slow": {
      const ms = Math.min(longestDelay, Math.max(0, Number(url.searchParams.get("ms") ?? 3000) || 0));
      await new Promise((resolve) => setTimeout(resolve, ms));
      return send(response, 200, "text/plain", `${instance} took ${ms} ms\n`);
    }
    case "GET /who":
      return send(response, 200, "text/plain", `${instance}\n`);
    case "GET /healthz":
      return send(response, 200, "text/plain", "alive\n");
    case "GET /readyz":
      return stopping || unready
        ? send(response, 503, "text/plain", stopping ? "stopping\n" : "told to be unready\n")
        : send(response, 200, "text/plain", "ready\n");
    case "POST /readyz":
      unready = url.searchParams.get("ready") === "no";
      return send(response, 200, "text/plain", `${instance} is ${unready ? "unready" : "ready"}\n`);
    default:
      return send(response, 404, "text/plain", "There is no such page in this shop.\n");
  }
}

function begin(request, response) {
  const { session, cookie } = sessionOf(request);
  if (cookie !== null) response.setHeader("Set-Cookie", cookie);
  return session;
}

async function addToCart(request, response) {
  const session = begin(request, response);
  let body = "";
  for await (const piece of request) {
    body += piece;
    if (body.length > mostBody) return send(response, 413, "text/plain", "That is too much for a cart.\n");
  }
  const product = find(new URLSearchParams(body).get("id") ?? "");
  if (product === undefined) return send(response, 422, "text/plain", "There is no such product.\n");
  if (!take(product.id)) return send(response, 409, "text/plain", `${product.name} is sold out.\n`);
  session.cart.set(product.id, (session.cart.get(product.id) ?? 0) + 1);
  session.lostCart = false;
  response.writeHead(303, { Location: "/cart", "Content-Length": 0 });
  response.end();
}

function streamStock(request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write(`data: ${JSON.stringify({ instance })}\n\n`);
  const timer = setInterval(() => response.write(`data: ${JSON.stringify({ ...tick(), instance })}\n\n`), 1000);
  streams.add(response);
  request.on("close", () => {
    clearInterval(timer);
    streams.delete(response);
  });
}

function send(response, status, type, body) {
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
  });
  response.end(body);
}

server.on("upgrade", (request, socket) => {
  tunnels.add(socket);
  socket.on("close", () => tunnels.delete(socket));
  echo(request, socket, instance);
});

server.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});

server.listen(port, "127.0.0.1", () => process.stdout.write(`${instance} sells on port ${port}\n`));

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    process.stdout.write(`${instance} closes: what was begun is finished first\n`);
    // Open streams have no end of their own; browsers come back by themselves, to another instance.
    for (const response of streams) response.end();
    for (const socket of tunnels) socket.end(Buffer.from([0x88, 2, 3, 233]));
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 8000).unref();
  });
}
