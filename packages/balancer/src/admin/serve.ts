// The admin API on its address. Bun.serve is right here: nothing balanced passes through it.
import type { AdminListener } from "../control/admin-door.ts";
import { runSupervisor, type Supervisor, type SupervisorOptions } from "../control/supervisor.ts";
import { answer, failure, type AdminAnswer } from "./answers.ts";
import { refusal } from "./guard.ts";

/** Largest body that a request may have, bytes. */
const largestBody = 64 * 1024;

/** Serves the admin API. Throws an Error with a message for people when the address cannot be had. */
export function serveAdmin(
  address: { readonly host: string; readonly port: number },
  supervisor: Supervisor,
): AdminListener {
  let server: Bun.Server<undefined>;
  try {
    server = Bun.serve({
      hostname: address.host,
      port: address.port,
      // Left out, Bun shares the port with any other program of this user, and half of what is asked goes astray.
      reusePort: false,
      development: false,
      maxRequestBodySize: largestBody,
      fetch: (request) => respond(request, address.host, supervisor),
      error: (error) => toResponse(failure(500, `the admin API failed: ${error.message}`)),
    });
  } catch (error) {
    throw new Error(listenProblem(address, error as NodeJS.ErrnoException));
  }
  return {
    port: server.port ?? address.port,
    close: (atOnce) => server.stop(atOnce),
  };
}

/** Runs a balancer with its admin API: what `plimsoll run` and `plimsoll up` call. */
export function runBalancer(options: Omit<SupervisorOptions, "openAdmin">): Promise<Supervisor> {
  return runSupervisor({ ...options, openAdmin: serveAdmin });
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
  return toResponse(await answer(supervisor, { method, path: pathname, text: () => request.text() }));
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
