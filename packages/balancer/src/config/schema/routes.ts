// One route: what it matches, what it does, and what it changes on the way.
import { z } from "zod";
import {
  parseContentType,
  parseEditableName,
  parseHeaderValue,
  parseSettableName,
  refuseHostValue,
} from "../header-rules.ts";
import { refusePath } from "../path-pattern.ts";
import { parseRegex } from "../regex-guard.ts";
import { routeDeclaredSchema } from "./declared.ts";
import { fieldMap, duration, flag, integer, leafFacts, oneOrMany, shorthand, size, text, written } from "./leaf.ts";
import { matchSchema } from "./match.ts";
import { retrySchema } from "./retry.ts";

const poolName = () => text("the name of a pool");

const editableName = written(
  { noun: "a header name", hint: "letters, digits and - without spaces: x-request-id" },
  parseEditableName,
);
const settableName = written(
  { noun: "a header name", hint: "letters, digits and - without spaces: x-request-id" },
  parseSettableName,
);
const headerValue = written(
  { noun: "a header's value", hint: "write a text; digits, true and false need quotes to be one" },
  parseHeaderValue,
);

/** Host is set in requests only, and only written out: by it an endpoint decides what is asked for. */
const requestFields = fieldMap(settableName, headerValue, (name, value) =>
  name === "host" ? refuseHostValue(value) : null,
).describe(
  "Fields to set; what stood there under that name is replaced. `host` is what the endpoint gets as Host, if it wants to be called by a name of its own; X-Forwarded-Host keeps the client's.",
);
const answerFields = fieldMap(editableName, headerValue).describe(
  "Fields to set; what stood there under that name is replaced.",
);

const headerEdits = (whose: string, set: typeof requestFields) =>
  z
    .strictObject({
      set: set.optional(),
      add: fieldMap(editableName, headerValue).describe("Fields to add to those of the same name.").optional(),
      remove: oneOrMany(editableName).describe("Fields to remove.").optional(),
    })
    .describe(
      `Edits of the ${whose}: removed first, then set, then added. Values may hold {client}, {host}, {requestId} and {scheme}.`,
    )
    .optional();

const redirectTarget = written({ noun: "a redirect target", hint: "write /new/path or https://host/path" }, (to) => {
  const hint = "write /new/path, https://host/path or {scheme}://{host}/path; /new/* takes over what * matched";
  if (to === "") return { reason: "it is empty", hint };
  if (/[^\x21-\x7e]/.test(to))
    return { reason: "it holds white space or characters that must be percent-encoded", hint };
  if (/^\/[/\\]/.test(to)) return { reason: "two slashes at the beginning lead to another host", hint };
  if (!/^(\/|https?:\/\/|\{scheme\}:\/\/)/i.test(to)) return { reason: "it is neither a path nor a URL", hint };
  return to;
});

export const redirectStatus = z
  .literal([301, 302, 303, 307, 308])
  .register(leafFacts, { noun: "a status of a redirect", hint: "write one of 301, 302, 303, 307, 308" })
  .describe("307 and 308 keep the method; 301 and 308 are permanent, and browsers remember them.");

const rewriteSchema = z
  .strictObject({
    prefix: written(
      { noun: "a path", hint: "write /new" },
      (path) =>
        refusePath(path) ??
        (path.includes("*")
          ? { reason: "the new prefix is a path without *", hint: `write ${path.replace(/\/?\*.*$/, "") || "/"}` }
          : path),
    )
      .describe(
        "What the matched prefix becomes: with `match: { path: /v1/* }` and `prefix: /api`, /v1/users is sent as /api/users.",
      )
      .optional(),
    regex: written({ noun: "a regular expression", hint: "write ^/old/(.*)$" }, parseRegex)
      .describe("What to look for in the path (JavaScript). Goes with `to`.")
      .optional(),
    to: written({ noun: "a replacement", hint: "write /new/$1" }, (to) =>
      /[^\x21-\x7e]|#/.test(to)
        ? { reason: "it holds white space, # or characters that must be percent-encoded", hint: "write /new/$1" }
        : to,
    )
      .describe("What to put in its place; $1 is the first group.")
      .optional(),
  })
  .describe("Changes the path on its way to the endpoint: `prefix` alone, or `regex` with `to`. The query is kept.");

export const routeSchema = z
  .strictObject({
    name: written({ noun: "a name", hint: "letters, digits, . - and _" }, (name) =>
      /^[\w.-]{1,100}$/.test(name)
        ? name
        : { reason: "a name has letters, digits, . - and _ only", hint: "write it without spaces" },
    )
      .describe("How logs, metrics and messages call the route. Otherwise its place, such as web.routes[2].")
      .optional(),
    match: matchSchema.optional(),
    pool: poolName().describe("Action: forward to this pool.").optional(),
    split: z
      .array(
        z.strictObject({
          pool: poolName().describe("Name of a pool."),
          weight: integer(0, 1_000_000).default(1).describe("Its part, relative to the others; 0 gets nothing."),
        }),
      )
      .min(1)
      .meta({
        examples: [
          [
            { pool: "api", weight: 90 },
            { pool: "apiNext", weight: 10 },
          ],
        ],
      })
      .describe("Action: forward to one of several pools, chosen by weight for each request.")
      .optional(),
    redirect: shorthand(
      "to",
      z.strictObject({
        to: redirectTarget
          .meta({ examples: ["/new/*", "https://{host}{path}"] })
          .describe(
            "Path or URL. `*` takes over what the route's `*` matched, `$1` a group of its regex; {scheme}, {host}, {authority} (the host with the port that the client wrote), {port}, {path} and {query} those of the request. The query is kept unless `to` has one.",
          ),
        status: redirectStatus.default(307),
      }),
    )
      .describe("Action: answer with a redirect.")
      .optional(),
    respond: shorthand(
      "status",
      z.strictObject({
        status: integer(200, 599).default(200).describe("Status of the answer."),
        body: z
          .string()
          .max(1024 * 1024)
          .default("")
          .describe("Body of the answer, up to 1 MiB."),
        contentType: written({ noun: "a media type", hint: "write text/html; charset=utf-8" }, parseContentType)
          .prefault("text/plain; charset=utf-8")
          .describe("Its Content-Type."),
      }),
    )
      .describe("Action: answer without any endpoint.")
      .optional(),
    rewrite: rewriteSchema.optional(),
    headers: z
      .strictObject({
        request: headerEdits("request on its way to the endpoint", requestFields),
        answer: headerEdits("answer on its way to the client", answerFields),
      })
      .describe("Edits of header fields. Those that frame a message or belong to one connection cannot be edited.")
      .optional(),
    mirror: poolName()
      .describe(
        "Name of a pool that gets a copy of each request. Its answers are thrown away and never affect the client.",
      )
      .optional(),
    maxBodyBytes: size(1, Number.MAX_SAFE_INTEGER)
      .describe("Longest request body; a longer one is answered with 413. No limit if left out.")
      .optional(),
    timeouts: z
      .strictObject({
        connect: duration().describe("As of the pool.").optional(),
        firstByte: duration().describe("As of the pool.").optional(),
        idle: duration().describe("As of the pool.").optional(),
        tunnelIdle: duration().describe("As of the pool.").optional(),
        perTry: duration({ zero: true }).describe("As of the pool.").optional(),
        total: duration({ zero: true }).describe("As of the pool.").optional(),
      })
      .describe("What this route sets otherwise than its pool.")
      .optional(),
    retry: retrySchema("What this route sets otherwise than its pool.").optional(),
    declared: routeDeclaredSchema,
    cancel: flag()
      .default(true)
      .describe(
        "A client that goes away cancels its exchange at the endpoint, by closing that connection. false: what was sent whole is worked on to its end.",
      ),
  })
  .describe("One route. It has exactly one action: `pool`, `split`, `redirect` or `respond`.");

export type RouteConfig = z.output<typeof routeSchema>;
