// The admin API on its address. Bun.serve is right here: nothing balanced passes through it.
import type { AdminListener } from "../control/admin-door.ts";
import { proveFree } from "../control/sockets.ts";
import { runSupervisor, type Supervisor, type SupervisorOptions } from "../control/supervisor.ts";
import { answer, failure, type AdminAnswer } from "./answers.ts";
import { refusal } from "./guard.ts";

/** Largest body that a request may have, bytes. */
const largestBody = 64 * 1024;

/** Seconds that a command may take to be answered: an upgrade waits for the new program. */
const commandPatience = 255;

/**
 * Serves the admin API. `beside`: another program of ours has the address open, and will let go. Throws an Error with a
 * message for people when the address cannot be had.
 */
export function serveAdmin(
  address: { readonly host: string; readonly port: number },
  supervisor: Supervisor,
  beside = false,
): AdminListener {
  let server: Bun.Server<undefined>;
  try {
    if (!beside && address.port !== 0) proveFree(address.host, address.port);
    server = Bun.serve({
      hostname: address.host,
      port: address.port,
      // So that an upgrade finds it open at every moment. Nobody else is there: that was proved.
      reusePort: true,
      development: false,
      maxRequestBodySize: largestBody,
      fetch: (request, asked) => {
        if (request.method === "POST") asked.timeout(request, commandPatience);
        return respond(request, address.host, supervisor);
      },
      error: (error) => toResponse(failure(500, `the admin API failed: ${error.message}`)),
    });
  } catch (error) {
    throw new Error(listenProblem(address, error as NodeJS.ErrnoException));
  }
  return {
    port: server.port ?? address.port,
    retire: () => void server.stop(false),
    close: (atOnce) => server.stop(atOnce),
  };
}

/** Runs a balancer with its admin API: what `plimsoll run` and `plimsoll up` call. */
export function runBalancer(options: Omit<SupervisorOptions, "openAdmin">): Promise<Supervisor> {
  return runSupervisor({
    ...options,
    openAdmin: (address, supervisor, beside) => serveAdmin(address, supervisor, beside),
  });
}

async function respond(request: Request, address: string, supervisor: Supervisor): Promise<Response> {
  const { pathname } = new URL(request.url);
  const { method, headers } = request;
  const reason = refusal(
    {
      method,
      path: pathname,
      host: headers.get("host"),
      origin: headers.get("origin"),
      site: headers.get("sec-fetch-site"),
    },
    address,
  );
  if (reason !== "") return toResponse(failure(403, reason));
  const response = toResponse(await answer(supervisor, { method, path: pathname, text: () => request.text() }));
  // Whoever asks again must reach the program that took over.
  if (supervisor.readiness === "replaced") response.headers.set("connection", "close");
  return response;
}

function toResponse({ status, type, body, allow }: AdminAnswer): Response {
  const headers: Record<string, string> = {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  if (allow !== undefined) headers["allow"] = allow;
  return new Response(body, { status, headers });
}

function listenProblem(
  { host, port }: { readonly host: string; readonly port: number },
  error: NodeJS.ErrnoException,
): string {
  const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  if (error.code === "EADDRINUSE") {
    return `cannot listen on ${where}: another program does, maybe another Plimsoll; choose another admin.address, or null for none`;
  }
  return `cannot listen on ${where}: ${error.message}`;
}
