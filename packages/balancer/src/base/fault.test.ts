import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { violations } from "@plimsoll/wire/http1";
import { faultCodes, faults } from "./fault.ts";

const source = new URL("..", import.meta.url).pathname;

/** Every program text of the balancer but tests, what only tests use, and the register itself. */
function programs(): string[] {
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !/fixtures/.test(file))
    .filter((file) => file !== join("base", "fault.ts"))
    .map((file) => readFileSync(join(source, file), "utf8"));
}

test("every code is caused by something: the codec says it, or a program of ours does", () => {
  const fromCodec = new Set<string>(violations.map(({ fault }) => fault));
  const texts = programs();
  const dead = faultCodes.filter((code) => !fromCodec.has(code) && !texts.some((text) => text.includes(`"${code}"`)));
  expect(dead).toEqual([]);
});

test("every code of the codec is in the register, on the side it speaks of", () => {
  for (const { fault } of violations) {
    expect(faultCodes).toContain(fault);
    expect(faults[fault].side).toBe(fault.startsWith("request-") ? "client" : "upstream");
  }
});

test("the register is sound", () => {
  const statuses = { client: [0, 400, 408, 413, 414, 417, 431, 501, 505], upstream: [0, 502, 504] };
  for (const code of faultCodes) {
    const { side, status, retry, proxyStatus, text } = faults[code];
    expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
    // An error type of RFC 9209 §2.3.
    expect(proxyStatus).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(text).toMatch(/^[A-Z].*\.$/);
    expect(text).not.toMatch(/["\\<>&\r\n]/);
    if (side !== "self") expect(statuses[side]).toContain(status);
    // What a client did wrong it would do wrong again.
    if (side === "client") expect(retry).toBe("never");
  }
});
