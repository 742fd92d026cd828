import { expect, test } from "bun:test";
import { judgeKnock, patience } from "./readiness.ts";

const host = "127.0.0.1";
const status = (code: number) => ({ kind: "status", status: code, host }) as const;
const silent = { kind: "silent", host } as const;

test("nobody listens: wait, for however long", () => {
  expect(judgeKnock({ kind: "refused" }, null, patience * 10).kind).toBe("wait");
  expect(judgeKnock({ kind: "refused" }, "/ready", patience * 10).kind).toBe("wait");
});

test("without a path any answer below 500 is ready", () => {
  for (const code of [200, 204, 301, 401, 404, 499]) {
    expect(judgeKnock(status(code), null, 0)).toEqual({ kind: "ready", host, doubt: "" });
  }
  for (const code of [500, 503, 599]) expect(judgeKnock(status(code), null, 0).kind).toBe("wait");
  expect(judgeKnock(silent, null, patience - 1).kind).toBe("wait");
});

test("without a path, what listens for long is taken with a doubt that is said", () => {
  for (const knock of [status(503), silent]) {
    const judgement = judgeKnock(knock, null, patience);
    expect(judgement.kind === "ready" && judgement.doubt).toContain("--ready-path");
  }
});

test("with a path the application decides, without end", () => {
  for (const code of [200, 204, 299]) expect(judgeKnock(status(code), "/readyz", 0).kind).toBe("ready");
  for (const code of [199, 302, 400, 404, 500, 503]) {
    expect(judgeKnock(status(code), "/readyz", patience * 10).kind).toBe("wait");
  }
  expect(judgeKnock(silent, "/readyz", patience * 10).kind).toBe("wait");
});

test("the address that answered is the one that gets traffic", () => {
  const judgement = judgeKnock({ kind: "status", status: 200, host: "::1" }, null, 0);
  expect(judgement).toEqual({ kind: "ready", host: "::1", doubt: "" });
});
