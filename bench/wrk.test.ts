import { expect, test } from "bun:test";
import { load } from "./scenarios/scenario.ts";
import { ticksOf } from "./usage.ts";
import { readOutput, script } from "./wrk.ts";

const output = `Running 5s test @ http://127.0.0.1:23000
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.79ms    1.20ms  20.10ms   80.00%
    Req/Sec    13.20k     1.02k   15.00k    70.00%
  Latency Distribution
     50%  635.00us
     75%    5.01ms
     90%    6.00ms
     99%    1.20s 
  66000 requests in 5.01s, 10.20MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 10
Requests/sec:  13173.65
Transfer/sec:      2.04MB
`;

test("reads what wrk says, in every unit, with every error", () => {
  expect(readOutput(output)).toEqual({ requests: 66_000, seconds: 5.01, p50us: 635, p99us: 1_200_000, errors: 20 });
  const clean = output.replace(/ {2}Socket.*\n.*responses.*\n/, "").replace("5.01s", "1.50m");
  expect(readOutput(clean)).toMatchObject({ seconds: 90, errors: 0 });
  expect(() => readOutput("unable to connect")).toThrow("something else");
});

test("the script asks what the load says", () => {
  const plain = script(load());
  expect(plain).toContain('paths = { "/" }');
  expect(plain).not.toContain("Connection");
  const upload = script(load({ bodyBytes: 10, closing: true, paths: ["/a", "/b"] }));
  expect(upload).toContain('string.rep("x", 10)');
  expect(upload).toContain('"POST"');
  expect(upload).toContain('wrk.headers["Connection"] = "close"');
});

test("CPU time is read from behind a command with spaces and parentheses", () => {
  const line = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 7 3 20 10 20 0 1 0 100 1000 200";
  expect(ticksOf(line)).toBe(40);
  expect(ticksOf("")).toBe(0);
});
