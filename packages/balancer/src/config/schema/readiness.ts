// How a pool finds out which of its endpoints are ready.
import { z } from "zod";
import type { Misread } from "../../base/units.ts";
import { parseHeaderValue, parseMethod, parseEditableName } from "../header-rules.ts";
import { parseHost } from "../host.ts";
import { parseRegex } from "../regex-guard.ts";
import {
  duration,
  fieldMap,
  flag,
  integer,
  leafFacts,
  notYet,
  oneOf,
  oneOrMany,
  shortForms,
  shorthand,
  size,
  text,
  written,
} from "./leaf.ts";

/** An inclusive range of statuses. */
export type StatusRange = readonly [from: number, to: number];

function parseStatusRange(text: string): StatusRange | Misread {
  const hint = "write 200-299, 2xx, 204, or a list of them";
  const family = /^([1-5])xx$/.exec(text);
  if (family !== null) return [Number(family[1]) * 100, Number(family[1]) * 100 + 99];
  const [, low, high] = /^(\d{3})(?:-(\d{3}))?$/.exec(text) ?? [];
  if (low === undefined) return { reason: "it is not a status or a range of them", hint };
  const from = Number(low);
  const to = Number(high ?? low);
  if (from < 200 || to > 599) return { reason: "an answer's status is from 200 to 599", hint };
  if (from > to) return { reason: "the range ends before it begins", hint: `write ${to}-${from}` };
  return [from, to];
}

const statusRange = (
  z.preprocess(
    // 204 is a number in YAML.
    (value): unknown => (typeof value === "number" ? String(value) : value),
    written({ noun: "a status", hint: "write 200-299, 2xx, 204, or a list of them" }, parseStatusRange),
  ) as unknown as z.ZodType<StatusRange, string | number>
).register(shortForms, { json: { type: "integer", minimum: 200, maximum: 599 } });

const hex = () =>
  written({ noun: "bytes in hexadecimal", hint: "write pairs of digits: 00 00 00 08" }, (text): string | Misread => {
    const digits = text.replaceAll(/\s+/g, "").toLowerCase();
    return /^(?:[0-9a-f]{2}){1,4096}$/.test(digits)
      ? digits
      : { reason: "bytes are pairs of the digits 0 to 9 and a to f", hint: "write pairs of digits: 00 00 00 08" };
  });

const scriptStep = z.strictObject({
  send: text("bytes as a text").describe('Sends this text; `"PING\\r\\n"` in double quotes ends a line.').optional(),
  sendHex: hex().describe("Sends these bytes.").optional(),
  expect: text("bytes as a text").describe("The answer must begin with this text.").optional(),
  expectHex: hex().describe("The answer must begin with these bytes.").optional(),
  matches: written({ noun: "a regular expression", hint: "write ^250[ -]" }, parseRegex)
    .describe("The answer must match this (JavaScript; one character for each byte, anywhere unless anchored).")
    .optional(),
});

export type ScriptStepConfig = z.output<typeof scriptStep>;

const probeSchema = z.strictObject({
  probe: oneOf(["http", "tcp", "tls", "command", "script", "postgres", "redis", "mysql", "smtp", "grpc", "off"])
    .register(notYet, {
      severity: "error",
      will: "the gRPC health service will be asked, once HTTP/2 is spoken to endpoints",
      except: ["http", "tcp", "tls", "command", "script", "postgres", "redis", "mysql", "smtp", "off"],
    })
    .describe(
      "What is tried: a request (http), a connection (tcp), a TLS handshake (tls), a program (command), a conversation (script) or a ready-made one (postgres, redis, mysql, smtp), or nothing (off). If left out: http if there is a `path`, script with `script`, tls with `tls`, command with `command`, else tcp.",
    )
    .optional(),
  path: written({ noun: "a path", hint: "write /readyz" }, (path) =>
    /^\/[\x21-\x7e]*$/.test(path) && !path.includes("#")
      ? path
      : { reason: "it must begin with / and be percent-encoded", hint: "write /readyz" },
  )
    .meta({ examples: ["/readyz"] })
    .describe("What is asked for. A query may follow.")
    .optional(),
  method: written({ noun: "a method", hint: "write GET or HEAD" }, parseMethod)
    .describe("Method of the probe; GET if left out.")
    .optional(),
  host: written({ noun: "a host", hint: "write app.example.com" }, (text) => {
    const host = parseHost(text);
    if ("reason" in host) return host;
    return host.kind === "exact" ? host.host : { reason: "a probe asks one host", hint: "write a name without *" };
  })
    .describe("Host field of the probe; otherwise the endpoint's address.")
    .optional(),
  headers: fieldMap(
    written({ noun: "a header name", hint: "write x-probe" }, parseEditableName),
    written({ noun: "a header's value", hint: "write a text; digits need quotes" }, parseHeaderValue),
  )
    .describe("Further fields of the probe.")
    .optional(),
  expect: oneOrMany(statusRange, 1)
    .meta({ examples: ["200-299", [200, 204]] })
    .describe("Statuses that mean ready: `200-299`, `2xx`, `204`, or a list. 200-299 if left out.")
    .optional(),
  body: shorthand(
    "matches",
    z.strictObject({
      matches: written({ noun: "a regular expression", hint: 'write "ready" or \'"status": *"ok"\'' }, parseRegex)
        .meta({ examples: ["ready"] })
        .describe("JavaScript's grammar, anywhere in the body unless anchored."),
      within: size(1, 1024 * 1024)
        .prefault("64KiB")
        .describe("As much of the body as is looked at; what follows is not waited for."),
    }),
  )
    .describe("What the answer's body must hold to mean ready, if its status does.")
    .optional(),
  drainOn: oneOrMany(statusRange)
    .meta({ examples: [404] })
    .describe(
      "Statuses with which a ready endpoint asks to be drained: no new work from its first such answer on, until its probe passes again. What is in flight and sticky clients go on as in any drain. None if left out; a 503 with Retry-After does the same after `fall` of them.",
    )
    .optional(),
  tls: z
    .strictObject({
      serverName: written({ noun: "a host", hint: "write app.example.com" }, (text) => {
        const host = parseHost(text);
        if ("reason" in host) return host;
        return host.kind === "exact" ? host.host : { reason: "a probe asks one host", hint: "write a name without *" };
      })
        .describe("Name to ask for and to verify; otherwise the endpoint's address.")
        .optional(),
      verify: flag().default(true).describe("Whether the certificate must be valid."),
      ca: text("the path of a file")
        .describe("PEM file with the authorities that are trusted; otherwise the system's.")
        .optional(),
    })
    .describe("How a handshake of `probe: tls` is made.")
    .optional(),
  script: z
    .array(scriptStep)
    .min(1)
    .max(50)
    .meta({ examples: [[{ expect: "220" }, { sendHex: "51 55 49 54 0d 0a" }]] })
    .describe(
      "Steps of `probe: script`. What is expected is looked for in the first 16 KiB that came since the last step that sent something; what is sent behind the last expectation is a farewell.",
    )
    .optional(),
  login: z
    .strictObject({
      user: text("a user's name")
        .describe("For postgres and mysql, `plimsoll` if left out; for redis with a `password`.")
        .optional(),
      password: text("a password").describe("For redis: AUTH is sent first.").optional(),
      database: text("the name of a database").describe("For postgres; the user's name if left out.").optional(),
    })
    .describe(
      "Who the probes postgres, redis and mysql say they are. No password is needed to see whether the first and the last are ready.",
    )
    .optional(),
  command: z
    .array(text("a word of the command"))
    .min(1)
    .meta({ examples: [["/usr/local/bin/check-app", "--fast"]] })
    .describe(
      "Program and arguments of `probe: command`; no shell reads them. Exit 0 means ready. It finds the endpoint in PLIMSOLL_ADDRESS, PLIMSOLL_HOST and PLIMSOLL_PORT (or PLIMSOLL_SOCKET), has PATH, HOME, LANG and TZ beside them, and is killed with all it started when `timeout` is over.",
    )
    .optional(),
  env: z
    .record(
      written({ noun: "the name of a variable", hint: "write CHECK_TOKEN" }, (name): string | Misread =>
        /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
          ? name
          : { reason: "it has letters, digits and _ only", hint: "write CHECK_TOKEN" },
      ),
      z.string().register(leafFacts, { noun: "a text", hint: "write a text; digits, true and false need quotes" }),
    )
    .describe("Further environment of the command.")
    .optional(),
  interval: duration()
    .prefault("5s")
    .describe(
      "Time from one probe of an endpoint to its next, give or take 15%: probes of a fleet must not march in step.",
    ),
  fastInterval: duration()
    .describe(
      "Instead of `interval` while a change is near: before the first pass, after a failure of a ready endpoint and after a pass of an unready one. 1s, or `interval` if that is shorter, if left out.",
    )
    .optional(),
  timeout: duration().prefault("2s").describe("Longest wait for the probe's answer; no longer than `interval`."),
  rise: integer(1, 100)
    .default(2)
    .describe("Passes in a row that make an unready endpoint ready. A new one is ready after its first."),
  fall: integer(1, 100).default(3).describe("Failures in a row that make a ready endpoint unready."),
});

export const readinessSchema = shorthand("probe", probeSchema)
  .prefault({})
  .describe(
    "How an endpoint shows that it is ready for work. `readiness: off` takes every endpoint for ready; without a `path`, one that accepts connections is.",
  );

export type ReadinessConfig = z.output<typeof probeSchema>;
