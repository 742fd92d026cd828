// One request, several tries: who is asked next, with what, and when nobody is.
import { describe, expect, test } from "bun:test";
import type { RetryPlan } from "../pool/plan.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";
import { mostKept } from "./head-buffer.ts";

function stageWith(retry: Partial<RetryPlan> = {}, endpoints = 3): Stage {
  return new Stage({ pools: [poolPlan(endpoints, { retry: { ...poolPlan().retry, ...retry } })] });
}

function statusOf(client: Peer): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(client.text)?.[1] ?? 0);
}

function faultOf(client: Peer): string {
  return /details="([^"]*)"/.exec(client.text)?.[1] ?? "";
}

/** Endpoints that the exchange logged last was tried at. */
function triedAt(stage: Stage): readonly string[] {
  return stage.records.at(-1)!.tries.map((one) => one.endpoint);
}

const withBody = (method: string, body: string, lines = "") =>
  `${method} /x HTTP/1.1\r\nHost: a\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`;

describe("which try it is", () => {
  test("is told upstream from the second on, in an otherwise equal head", () => {
    const stage = stageWith({ attempts: 3 });
    const client = stage.asking(get);
    stage.origin(0).end();
    stage.origin(1).reset();
    stage.origin(2).send(answer("third"));
    expect(client.text).toEndWith("third");
    expect(stage.origin(0).text).not.toContain("X-Plimsoll-Attempt");
    for (const [index, number] of [
      [1, 2],
      [2, 3],
    ] as const) {
      const line = `X-Plimsoll-Attempt: ${number}\r\n`;
      expect(stage.origin(index).text).toBe(stage.origin(0).text.replace(/\r\n$/, `${line}\r\n`));
    }
  });

  test("is not believed from outside", () => {
    const stage = stageWith();
    stage.asking("GET / HTTP/1.1\r\nHost: a\r\nX-Plimsoll-Attempt: 7\r\n\r\n");
    expect(stage.origin(0).text).not.toContain("Attempt");
    stage.origin(0).end();
    expect(stage.origin(1).text.match(/X-Plimsoll-Attempt: .*/g)).toEqual(["X-Plimsoll-Attempt: 2"]);
  });

  test("each is in the log, and only where there was more than one", () => {
    const stage = stageWith({ attempts: 3 });
    stage.asking(get);
    stage.advance(100);
    stage.origin(0).end();
    stage.advance(50);
    stage.origin(1).send("HTTP/1.1 2");
    stage.origin(1).end();
    stage.advance(25);
    stage.origin(2).send(answer());
    const [record] = stage.records;
    expect(record).toMatchObject({ attempts: 3, fault: "", rung: "", status: 200 });
    expect(record!.tries.map(({ fault, status, ms }) => [fault, status, Math.round(ms)])).toEqual([
      ["upstream-closed", 0, 100],
      ["answer-truncated", 0, 50],
      ["", 200, 25],
    ]);
    expect(new Set(record!.tries.map((one) => one.endpoint)).size).toBe(3);
    stage.asking(get);
    stage.origin().send(answer());
    expect(stage.records[1]!.tries).toEqual([]);
  });

  test("each counts as a request of its endpoint, and those after the first as retries, too", () => {
    const stage = stageWith({ attempts: 2 }, 2);
    stage.asking(get);
    stage.origin(0).end();
    stage.origin(1).send(answer());
    const cells = [0, 1].map((slot) => [stage.endpointCell("requests", slot), stage.endpointCell("retries", slot)]);
    expect(cells.sort()).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  test("the last one is in the log, too, when it fails", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin(0).reset();
    stage.origin(1).end();
    expect(faultOf(client)).toBe("upstream-closed");
    expect(stage.records[0]!.tries.map((one) => one.fault)).toEqual(["upstream-reset", "upstream-closed"]);
  });
});

describe("what is tried again", () => {
  test("a connect that failed: any method, with its body, elsewhere first", () => {
    const stage = stageWith();
    let asked = 0;
    stage.network.welcome = () => (asked++ === 0 ? "refused" : "open");
    stage.asking(withBody("POST", "hello"));
    expect(stage.origin(1).text).toEndWith("\r\n\r\nhello");
    stage.origin(1).send(answer());
    expect(new Set(triedAt(stage)).size).toBe(2);
  });

  test("nothing that the route does not name", () => {
    const stage = stageWith({ on: ["reset"] });
    stage.network.welcome = () => "refused";
    expect(faultOf(stage.asking(get))).toBe("connect-refused");
    expect(stage.connects).toBe(1);
    const other = stageWith({ on: ["connect"] });
    const client = other.asking(get);
    other.origin(0).end();
    expect(faultOf(client)).toBe("upstream-closed");
    expect(other.connects).toBe(1);
  });

  test("a GET whose connection ended before its answer began; no POST", () => {
    for (const death of ["end", "reset"] as const) {
      const stage = stageWith();
      const client = stage.asking(get);
      stage.origin(0)[death]();
      stage.origin(1).send(answer("other"));
      expect(client.text).toEndWith("other");
      const posted = stage.asking(withBody("POST", ""));
      stage.origin()[death]();
      expect(statusOf(posted)).toBe(502);
    }
  });

  test("a POST with Idempotency-Key, where the route says that the application keeps that promise", () => {
    for (const [idempotencyKey, lines, again] of [
      [true, "Idempotency-Key: k1\r\n", true],
      [true, "", false],
      [true, "Idempotency-Key:\r\n", false],
      [false, "Idempotency-Key: k1\r\n", false],
    ] as const) {
      const stage = stageWith({ idempotencyKey });
      const client = stage.asking(withBody("POST", "order", lines));
      stage.origin(0).reset();
      expect(stage.connects).toBe(again ? 2 : 1);
      if (again) expect(stage.origin(1).text).toEndWith("\r\n\r\norder");
      else expect(statusOf(client)).toBe(502);
    }
  });

  test("not after an informational answer went to the client", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin(0).send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    stage.origin(0).end();
    expect(client.text).toContain("103");
    expect(stage.connects).toBe(1);
  });

  test("after 100 Continue, which only asked for the body: the next try gets what there is of it, and 100 is said once", () => {
    for (const early of ["", "hel", "hello"]) {
      const stage = stageWith();
      const client = stage.asking("PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
      stage.origin(0).send("HTTP/1.1 100 Continue\r\n\r\n");
      if (early !== "") client.send(early);
      stage.origin(0).reset();
      stage.origin(1).send("HTTP/1.1 100 Continue\r\n\r\n");
      if (early !== "hello") client.send("hello".slice(early.length));
      expect(stage.origin(1).text).toEndWith("\r\n\r\nhello");
      stage.origin(1).send(answer("stored"));
      expect(client.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 100", "HTTP/1.1 200"]);
      expect(stage.records[0]).toMatchObject({ attempts: 2, fault: "" });
    }
  });

  test("no POST after 100 Continue once a byte of its body went out", () => {
    const stage = stageWith();
    const client = stage.asking("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    stage.origin(0).send("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("h");
    stage.origin(0).reset();
    expect(stage.connects).toBe(1);
    expect(faultOf(client)).toBe("answer-truncated");
  });

  test("not after a byte of the answer's body", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin(0).send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    stage.origin(0).end();
    expect(stage.connects).toBe(1);
    expect(client.wasReset).toBeTrue();
  });

  test("no more than attempts, and never beyond the budget", () => {
    const stage = stageWith({ attempts: 4 }, 5);
    stage.asking(get);
    for (let i = 0; i < 4; i++) stage.origin(i).end();
    expect(stage.connects).toBe(4);
    const poor = stageWith({ budget: 0 });
    for (let i = 0; i < 40; i++) {
      poor.asking(get);
      poor.origin().end();
      if (poor.network.connects.length % 2 === 0) poor.origin().end();
    }
    expect(poor.poolCell("retries")).toBe(30);
    expect(poor.poolCell("retriesDenied")).toBeGreaterThan(0);
  });

  test("a route's budget goes before its pool's", () => {
    const stage = new Stage({
      listeners: [listenerPlan({ routes: [routePlan({ retry: { ...poolPlan().retry, budget: 1 } })] })],
      pools: [poolPlan(2, { retry: { ...poolPlan().retry, budget: 0 } })],
    });
    for (let i = 0; i < 40; i++) {
      stage.asking(get);
      stage.origin().end();
      stage.origin().send(answer());
    }
    expect(stage.poolCell("retriesDenied")).toBe(0);
    expect(stage.poolCell("retries")).toBe(40);
  });
});

describe("bodies", () => {
  test("what was sent is sent again, the rest follows as it comes", () => {
    const stage = stageWith();
    const client = stage.asking("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    client.send("def");
    stage.origin(0).reset();
    expect(stage.origin(1).text).toEndWith("\r\n\r\nabcdef");
    client.send("ghi");
    expect(stage.origin(1).text).toEndWith("\r\n\r\nabcdefghi");
    stage.origin(1).send(answer("stored"));
    expect(client.text).toEndWith("stored");
    expect(stage.records[0]).toMatchObject({ bytesIn: 9, attempts: 2 });
  });

  test("chunked ones, too, cut anywhere", () => {
    const whole = "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nXYZ\r\n2\r\nWV\r\n0\r\n\r\n";
    for (let cut = 1; cut < whole.length; cut++) {
      const stage = stageWith();
      const client = stage.asking(whole.slice(0, cut));
      if (stage.connects === 0) continue;
      stage.origin(0).end();
      client.send(whole.slice(cut));
      const body = stage.origin(1).text.split("\r\n\r\n").slice(1).join("\r\n\r\n");
      expect(body.replace(/^[1-9]\r\n/gm, "").replaceAll("\r\n", "")).toBe("XYZWV0");
      expect(body).toEndWith("0\r\n\r\n");
      stage.origin(1).send(answer());
      expect(statusOf(client)).toBe(200);
    }
  });

  test("up to 64 KiB and no byte more", () => {
    for (const [size, again] of [
      [mostKept, true],
      [mostKept + 1, false],
    ] as const) {
      const stage = stageWith();
      const body = "x".repeat(size - 1) + "y";
      const client = stage.asking(withBody("PUT", body));
      expect(stage.origin(0).text).toEndWith(body);
      stage.origin(0).end();
      if (again) expect(stage.origin(1).text).toEndWith(`\r\n\r\n${body}`);
      else {
        expect(stage.connects).toBe(1);
        expect(faultOf(client)).toBe("upstream-closed");
      }
    }
  });

  test("that are not kept are not sent again, whatever the fault", () => {
    const stage = stageWith({ on: ["connect", "reset", "timeout", 503], attempts: 3 });
    const client = stage.asking(withBody("POST", "once"));
    stage.origin(0).send(answer("no", "", 503));
    expect(statusOf(client)).toBe(503);
    expect(stage.connects).toBe(1);
  });

  test("an endpoint that does not take the kept body holds the client back", () => {
    const stage = stageWith();
    stage.network.welcome = (_, connection) => {
      if (stage.connects > 1) connection.peer.room = 100;
      return "open";
    };
    const client = stage.asking("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    client.send("x".repeat(50_000));
    stage.origin(0).reset();
    expect(stage.origin(1).text.length).toBe(100);
    client.send("y".repeat(5_000));
    expect(client.flowing).toBeFalse();
    stage.origin(1).take(100_000);
    expect(client.flowing).toBeTrue();
    client.send("y".repeat(5_000));
    expect(stage.origin(1).text).toEndWith(`\r\n\r\n${"x".repeat(50_000)}${"y".repeat(10_000)}`);
  });
});

describe("statuses", () => {
  const on = ["connect", "reset", 503, 429] as const;

  test("one that is named is thrown away and asked for elsewhere; its connection is used again", () => {
    const stage = stageWith({ on });
    const client = stage.asking(get);
    stage.origin(0).send(answer("not now", "Retry-After: 1\r\n", 503));
    expect(client.text).toBe("");
    stage.origin(1).send(answer("here"));
    expect(new Set(triedAt(stage)).size).toBe(2);
    expect(client.text).toEndWith("here");
    expect(client.text).not.toContain("Retry-After");
    expect(stage.origin(0).over).toBeFalse();
    expect(stage.records[0]!.tries.map((one) => one.status)).toEqual([503, 200]);
    expect([0, 1, 2].map((slot) => stage.endpointCell("inFlight", slot))).toEqual([0, 0, 0]);
    expect([0, 1, 2].map((slot) => stage.endpointCell("answers5xx", slot)).toSorted()).toEqual([0, 0, 1]);
  });

  test("the last try's is the client's", () => {
    const stage = stageWith({ on });
    const client = stage.asking(get);
    stage.origin(0).send(answer("no", "", 503));
    stage.origin(1).send(answer("neither", "", 429));
    expect(client.text).toEndWith("neither");
    expect(statusOf(client)).toBe(429);
  });

  test("others pass, and so do those of requests that are not safe to repeat", () => {
    const stage = stageWith({ on });
    const client = stage.asking(get);
    stage.origin(0).send(answer("no", "", 500));
    expect(statusOf(client)).toBe(500);
    const posted = stage.asking(withBody("POST", "x"));
    stage.origin().send(answer("no", "", 503));
    expect(statusOf(posted)).toBe(503);
  });

  test("a body without end is not read to its end", () => {
    const stage = stageWith({ on });
    const client = stage.asking(get);
    stage.origin(0).send("HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let i = 0; i < 70 && !stage.origin(0).over; i++) stage.origin(0).send(`400\r\n${"x".repeat(1024)}\r\n`);
    expect(stage.origin(0).wasReset).toBeTrue();
    stage.origin(1).send(answer("here"));
    expect(client.text).toEndWith("here");
    expect([0, 1, 2].map((slot) => stage.endpointCell("inFlight", slot))).toEqual([0, 0, 0]);
  });
});
