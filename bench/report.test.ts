import { expect, test } from "bun:test";
import type { RateSample } from "./measure.ts";
import { type Circumstances, median, rateRow, reportText } from "./report.ts";
import type { Outcome } from "./run.ts";
import { keepAlive64 } from "./scenarios/keep-alive-64.ts";
import { memory } from "./scenarios/memory.ts";
import { tlsResumed } from "./scenarios/tls-resumed.ts";

const sample = (cpuUs: number, errors = 0): RateSample => ({
  requestsPerSecond: 1_000_000 / cpuUs,
  p50us: 1000,
  p99us: 2500,
  cpuUs,
  memoryBytes: 5_000_000,
  requests: 1000,
  errors,
});

const outcome = (rival: string, cpus: readonly number[], problem?: string): Outcome => ({
  rival,
  rates: cpus.map((cpu) => sample(cpu, 1)),
  memory: undefined,
  problem,
});

const circumstances: Circumstances = {
  date: "2026-01-01",
  command: "npm run bench",
  commit: "abc",
  machine: ["2 cores"],
  versions: ["plimsoll 0.1.0", "nginx/1.22.1"],
  missing: ["caddy (apt-get install caddy)"],
  rounds: 3,
  seconds: 5,
  busyBefore: [0.01, 0.5],
};

test("medians of odd and even numbers of rounds", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test("a row is the median of its rounds, its errors are all of them", () => {
  expect(rateRow(outcome("x", [30, 10, 20]))).toMatchObject({ cpuUs: 20, cpuRange: [10, 30], errors: 3 });
  expect(rateRow(outcome("x", []))).toBeUndefined();
});

test("each row is compared with the best of the others, whoever that is", () => {
  const outcomes = [
    outcome("plimsoll", [22]),
    outcome("nginx", [20]),
    outcome("caddy", [200]),
    outcome("gone", [], "why"),
  ];
  const text = reportText(circumstances, [{ scenario: keepAlive64, outcomes }]);
  const ratios = Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const cells = line.split("|").map((cell) => cell.trim());
      return /^\d+\.\d\d$/.test(cells[6] ?? "") ? [[cells[1], cells[6]]] : [];
    }),
  );
  expect(ratios).toEqual({ plimsoll: "1.10", nginx: "0.91", caddy: "10.00" });
  expect(text).toContain("**gone** gave no numbers: why");
  expect(text).toContain("**missing here:** caddy");
  expect(text).toContain("1 %, 50 %");
});

test("a row tells how much of its core a balancer used: where the load was slower, requests a second say little", () => {
  const held = { ...outcome("plimsoll", []), rates: [{ ...sample(200), requestsPerSecond: 3500 }] };
  const lines = reportText(circumstances, [{ scenario: keepAlive64, outcomes: [held, outcome("nginx", [250])] }]).split(
    "\n",
  );
  const busy = (rival: string) =>
    lines
      .find((line) => line.startsWith(`| ${rival}`))
      ?.split("|")[7]
      ?.trim();
  expect(lines.find((line) => line.includes("p99"))?.split("|")[7]).toBe(" busy ");
  expect([busy("plimsoll"), busy("nginx")]).toEqual(["70 %", "100 %"]);
});

test("where connections are to be resumed, the row says how many were, and loudly when they were not", () => {
  const resuming = (rival: string, ...shares: readonly number[]): Outcome => ({
    ...outcome(rival, []),
    rates: shares.map((resumed) => ({ ...sample(20), resumed })),
  });
  const outcomes = [resuming("plimsoll", 1, 0.9996), resuming("nginx", 1, 0.5)];
  const text = reportText(circumstances, [{ scenario: tlsResumed, outcomes }]);
  const lines = text.split("\n");
  expect(lines.find((line) => line.startsWith("| plimsoll"))).toEndWith("| 0 | 99.9 % |");
  expect(lines.find((line) => line.startsWith("| nginx"))).toEndWith("| 0 | **only 50.0 %** |");
  expect(text).toContain("| errors | resumed |");
  expect(reportText(circumstances, [{ scenario: keepAlive64, outcomes: [outcome("x", [1])] }])).not.toContain(
    "resumed",
  );
});

test("memory is told with its growth", () => {
  const grown = {
    startBytes: 4e6,
    firstRequests: 100,
    firstBytes: 10e6,
    lastRequests: 1000,
    lastBytes: 12e6,
    errors: 0,
  };
  const outcomes = [{ rival: "plimsoll", rates: [], memory: grown, problem: undefined }];
  expect(reportText(circumstances, [{ scenario: memory, outcomes }])).toContain(
    "| plimsoll | 4.0 | 100 | 10.0 | 1000 | 12.0 | 20.0 % | 0 |",
  );
});
