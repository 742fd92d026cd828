// Needs: slowhttptest
//
// slowhttptest's four attacks, with times short enough for a test: every connection is cut off for what it does, the endpoint is let
// go, the kernel holds little for each, and whoever means well is served meanwhile. What 4,000 of them do to latency is measured by
// `npm run attacks`.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { startProgram } from "@plimsoll/testbed/processes";
import { answerText } from "@plimsoll/testbed/scripts";
import type { Script } from "@plimsoll/testbed/script";
import { eventually } from "@plimsoll/testbed/waiting";
import type { FaultCode } from "../../../packages/balancer/src/base/fault.ts";
import { withEngine } from "../proxy/engine-under-test.ts";

const attackers = 40;
const megabyte = answerText("x".repeat(1024 * 1024));
const small = answerText();
const origin: Script = {
  onRequest: (request, connection) => void connection.write(request.target === "/1m" ? megabyte : small),
};

interface Attack {
  readonly name: string;
  readonly args: readonly string[];
  readonly path: string;
  readonly fault: FaultCode;
}

const attacks: readonly Attack[] = [
  { name: "slow heads", args: ["-H", "-i", "10"], path: "/", fault: "request-head-timeout" },
  { name: "slow bodies", args: ["-B", "-i", "10", "-s", "8192"], path: "/upload", fault: "request-body-timeout" },
  { name: "many ranges", args: ["-R", "-a", "10", "-b", "3000"], path: "/1m", fault: "request-head-too-large" },
  {
    name: "slow readers",
    args: ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32"],
    path: "/1m",
    fault: "client-read-timeout",
  },
];

/** Bytes that the kernel holds for each client of a port, unsent or unacknowledged. */
function queuedFor(port: number): number[] {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1);
  return rows.flatMap((row) => {
    const [, from, , state, queues = "0"] = row.trim().split(/\s+/);
    return from === local && state === "01" ? [Number.parseInt(queues, 16)] : [];
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

describe("slowhttptest", () => {
  test.each(attacks.map((attack) => [attack.name, attack] as const))(
    "%s: all are cut off, and good clients are served meanwhile",
    async (_, { args, path, fault }) => {
      await withEngine(
        { app: origin },
        ({ app }) => ({
          listener: { timeouts: { headers: 1000, body: 1000 } },
          pools: { app: { endpoints: [app] } },
        }),
        async (under) => {
          const url = `http://127.0.0.1:${under.port}${path}`;
          const sizes = ["-c", `${attackers}`, "-r", "200", "-l", "30", "-u", url];
          const attacker = await startProgram(["slowhttptest", ...args, ...sizes]);
          let served = 0;
          let most: readonly number[] = [];
          try {
            await eventually(
              `${attackers} times ${fault}`,
              async () => {
                const queues = queuedFor(under.port).toSorted((a, b) => b - a);
                if (sum(queues) > sum(most)) most = queues;
                const client = await under.connect();
                await client.send("GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n");
                if ((await client.readAnswer()).status === 200) served++;
                return under.faults(fault) >= attackers;
              },
              25_000,
            );
            expect(served).toBeGreaterThan(0);
            await eventually("nobody is left", () => Object.keys(under.underWay).length === 0);
            // A megabyte would lie here for each reader, in segments of half a kilobyte. The tool looks now and then whether it
            // is still answered, in vain, from a connection with a window of the usual size.
            expect(most.slice(1).filter((queued) => queued > 64 * 1024)).toEqual([]);
          } finally {
            await attacker.stop(3000);
          }
        },
      );
    },
    40_000,
  );
});
