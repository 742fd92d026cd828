import { expect, test } from "bun:test";
import { compileFixed } from "./fixed.ts";

const fixed = (status: number, contentType: string, body: string): [string, string] => {
  const answer = compileFixed({ kind: "fixed", status, contentType, body }) ?? expect.unreachable("it is fixed");
  return [Buffer.from(answer.lines).toString("latin1"), Buffer.from(answer.body).toString("utf8")];
};

test("a body with its type, as UTF-8", () => {
  expect(fixed(200, "text/plain; charset=utf-8", "grün")).toEqual([
    "Content-Type: text/plain; charset=utf-8\r\n",
    "grün",
  ]);
});

test("no body, no type", () => {
  expect(fixed(200, "text/plain", "")).toEqual(["", ""]);
});

test("statuses that have no body get none", () => {
  for (const status of [204, 205, 304]) expect(fixed(status, "text/plain", "body")).toEqual(["", ""]);
});

test("a type that would end its line does not", () => {
  expect(fixed(200, "text/plain\r\nX-Evil: 1", "x")[0]).toBe("Content-Type: text/plainX-Evil: 1\r\n");
});

test("other actions have none", () => {
  expect(compileFixed({ kind: "pool", pool: "app" })).toBeNull();
});
