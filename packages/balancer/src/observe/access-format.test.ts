import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { accessFields, compileAccessFormat, type AccessFormatter } from "./access-format.ts";
import { blankAccessRecord, type AccessRecord } from "./access-record.ts";

function compiled(format: string): AccessFormatter {
  const made = compileAccessFormat(format);
  if (typeof made !== "function") throw new Error(made.problem);
  return made;
}

function sample(over: Partial<AccessRecord> = {}): AccessRecord {
  return {
    ...blankAccessRecord(),
    time: Date.UTC(2026, 1, 3, 4, 5, 6, 78),
    listener: "web",
    route: "web.routes[0]",
    pool: "api",
    endpoint: "127.0.0.1:3001",
    client: "192.0.2.7",
    method: "GET",
    target: "/a?b=c",
    host: "example.com",
    protocol: "HTTP/1.1",
    status: 200,
    bytesIn: 1,
    bytesOut: 512,
    durationMs: 12.34567,
    upstreamMs: 10,
    connectMs: -1,
    queueMs: 0,
    attempts: 1,
    tries: [],
    rung: "",
    requestId: "r1",
    userAgent: 'curl "8"',
    referer: "",
    ended: "",
    reusedConnection: true,
    ...over,
  };
}

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString("latin1"));
const text = fc.oneof(bytes, fc.string({ unit: "binary", maxLength: 20 }));
const number = fc.oneof(fc.integer(), fc.double());
const anyRecord: fc.Arbitrary<AccessRecord> = fc.record({
  time: number,
  listener: text,
  route: text,
  pool: text,
  endpoint: text,
  client: text,
  method: text,
  target: text,
  host: text,
  protocol: text,
  status: number,
  bytesIn: number,
  bytesOut: number,
  durationMs: number,
  upstreamMs: number,
  connectMs: number,
  queueMs: number,
  attempts: number,
  tries: fc.array(fc.record({ endpoint: text, fault: text, status: number, ms: number }), { maxLength: 3 }),
  fault: text,
  rung: text,
  requestId: text,
  userAgent: text,
  referer: text,
  ended: text,
  reusedConnection: fc.boolean(),
  tls: fc.constantFrom("", "TLSv1.3"),
  cipher: fc.string(),
  serverName: fc.string(),
});

test("json says everything there is about an exchange", () => {
  expect(JSON.parse(compiled("json")(sample()))).toEqual({
    ...sample(),
    time: "2026-02-03T04:05:06.078Z",
    durationMs: 12.346,
    connectMs: null,
  });
});

test("combined is nginx's", () => {
  expect(compiled("combined")(sample())).toBe(
    '192.0.2.7 - - [03/Feb/2026:04:05:06 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl \\x228\\x22"\n',
  );
});

test("a template writes its own text and the fields it names", () => {
  expect(compiled('{method} "{target}" {status} {connectMs} {reusedConnection}')(sample())).toBe(
    'GET "/a?b=c" 200 - true\n',
  );
  for (const name of accessFields) expect(compiled(`{${name}}`)(sample())).toMatch(/^[ -~]+\n$/);
});

test("a template that names an unknown field, or none, is refused", () => {
  expect(compileAccessFormat("{metod}")).toEqual({ problem: expect.stringContaining('"{metod}"') });
  expect(compileAccessFormat("{toString}")).toHaveProperty("problem");
  expect(compileAccessFormat("jsn")).toEqual({ problem: expect.stringContaining('"jsn"') });
});

test("whatever a client sent, a JSON line parses to it", () => {
  const format = compiled("json");
  fc.assert(
    fc.property(anyRecord, (record) => {
      const line = format(record);
      expect(line).toMatch(/^[ -~]+\n$/);
      const read = JSON.parse(line) as Record<string, unknown>;
      for (const name of ["target", "host", "userAgent", "referer", "requestId", "client"] as const) {
        expect(read[name]).toBe(record[name]);
      }
      expect(Object.keys(read).sort()).toEqual([...accessFields].sort());
    }),
    { numRuns: 1000 },
  );
});

test("whatever a client sent, a combined line has its fields where they belong", () => {
  const format = compiled("combined");
  fc.assert(
    fc.property(anyRecord, (record) => {
      const line = format({ ...record, client: "c", status: 200, bytesOut: 1 });
      expect(line).toMatch(/^c - - \[[^\]]+\] "[^"]*" 200 1 "[^"]*" "[^"]*"\n$/);
      expect(line).toMatch(/^[ -~]+\n$/);
    }),
    { numRuns: 1000 },
  );
});

test("a monstrous value is cut and marked", () => {
  const line = compiled("json")(sample({ target: `/${"\u0000".repeat(100_000)}` }));
  expect(line.length).toBeLessThan(30_000);
  expect((JSON.parse(line) as { target: string }).target.endsWith("...")).toBe(true);
});

test("every field is documented", () => {
  const text = readFileSync(join(import.meta.dir, "../../../../docs/access-log.md"), "utf8");
  for (const name of accessFields) expect(text).toContain(`\`${name}\``);
});
