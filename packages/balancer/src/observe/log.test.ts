import { expect, test } from "bun:test";
import fc from "fast-check";
import { createLog, type LogOptions } from "./log.ts";

function written(over: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    format: "text",
    level: "info",
    write: (line) => void lines.push(line),
    wall: () => 0,
    ...over,
  });
  return { lines, log };
}

test("a text line reads as a sentence and greps as fields", () => {
  const { lines, log } = written();
  log.event("warn", "endpoint.unready", "api/10.0.0.1:80 failed 3 probes", {
    pool: "api",
    seen: "status 503",
    took: 2,
  });
  expect(lines).toEqual([
    "1970-01-01T00:00:00.000Z warn  endpoint.unready: api/10.0.0.1:80 failed 3 probes " +
      'pool=api seen="status 503" took=2\n',
  ]);
});

test("a JSON line keeps its own keys whatever the fields are called", () => {
  const { lines, log } = written({ format: "json" });
  log.event("error", "config.refused", "two problems", { event: "forged", level: "info", line: 3 });
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    time: "1970-01-01T00:00:00.000Z",
    level: "error",
    event: "config.refused",
    text: "two problems",
    line: 3,
  });
});

test("events below the level are not written", () => {
  const { lines, log } = written({ level: "warn" });
  log.event("debug", "a", "x");
  log.event("info", "b", "x");
  log.event("warn", "c", "x");
  log.event("error", "d", "x");
  expect(lines.length).toBe(2);
});

test("whatever is told, an event is one line without control characters", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(text, fc.dictionary(fc.stringMatching(/^[a-z]+$/), text), (sentence, fields) => {
      for (const format of ["text", "json"] as const) {
        const { lines, log } = written({ format });
        log.event("info", "name", sentence, fields);
        expect(lines[0]).toMatch(/^[^\u0000-\u001f]*\n$/);
        if (format === "json") expect((JSON.parse(lines[0] ?? "") as { text: string }).text).toBe(sentence);
      }
    }),
  );
});
