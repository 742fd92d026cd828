// A second try beside the first: when it begins, who wins, and what becomes of the other.
import { describe, expect, test } from "bun:test";
import type { PoolPlan, RetryPlan } from "../pool/plan.ts";
import { poolPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

const late = 75;

function stageWith(retry: Partial<RetryPlan> = {}, pool: Partial<PoolPlan> = {}, endpoints = 2): Stage {
  return new Stage({ pools: [poolPlan(endpoints, { ...pool, retry: { ...poolPlan().retry, hedge: 200, ...retry } })] });
}

function expectQuiet(stage: Stage): void {
  expect([0, 1, 2].map((slot) => stage.endpointCell("inFlight", slot))).toEqual([0, 0, 0]);
  expect(stage.engine.busy).toBe(0);
  expect(stage.wheel.size).toBe(stage.engine.open);
}

/** A request that has been hedged. */
function hedged(stage = stageWith()) {
  const client = stage.asking(get);
  stage.advance(175);
  expect(stage.connects).toBe(1);
  stage.advance(late);
  expect(stage.connects).toBe(2);
  return { stage, client };
}

describe("a hedge", () => {
  test("that answers first wins; the first try is cancelled", () => {
    const { stage, client } = hedged();
    expect(stage.origin(1).text).toContain("X-Plimsoll-Attempt: 2\r\n");
    stage.origin(1).send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    expect(stage.origin(0).wasReset).toBeTrue();
    stage.origin(1).send("llo");
    expect(client.text).toEndWith("hello");
    expect([stage.poolCell("hedges"), stage.poolCell("hedgesWon"), stage.poolCell("retries")]).toEqual([1, 1, 1]);
    expect([0, 1].map((slot) => stage.endpointCell("requests", slot))).toEqual([1, 1]);
    const [record] = stage.records;
    expect(record!.tries.map(({ fault, status }) => [fault, status])).toEqual([
      ["cancelled", 0],
      ["", 200],
    ]);
    expect(record!.endpoint).toBe(record!.tries[1]!.endpoint);
    expectQuiet(stage);
  });

  test("is told the time that is left for it, not what is left for the first try", () => {
    const timeouts = { ...poolPlan().timeouts, perTry: 400, total: 1_000 };
    const { stage } = hedged(stageWith({}, { timeouts, deadlineHeader: "x-request-deadline" }));
    const told = [0, 1].map((index) => /x-request-deadline: (\d+)/.exec(stage.origin(index).text)?.[1]);
    expect(told).toEqual(["400", "400"]);
  });

  test("that is slower is cancelled", () => {
    const { stage, client } = hedged();
    stage.origin(0).send(answer("first"));
    expect(client.text).toEndWith("first");
    expect(stage.origin(1).wasReset).toBeTrue();
    expect([stage.poolCell("hedges"), stage.poolCell("hedgesWon")]).toEqual([1, 0]);
    expect(stage.records[0]!.tries.map((one) => one.fault)).toEqual(["cancelled", ""]);
    expectQuiet(stage);
  });

  test("takes the place of a first try that fails, connected or not", () => {
    for (const welcome of ["open", "silent"] as const) {
      const stage = stageWith();
      stage.network.welcome = () => (stage.connects === 2 ? welcome : "open");
      const { client } = hedged(stage);
      stage.origin(0).reset();
      expect(client.text).toBe("");
      expect(stage.connects).toBe(2);
      if (welcome === "silent") stage.network.connects[1]!.open();
      stage.network.run();
      stage.origin(1).send(answer("second"));
      expect(client.text).toEndWith("second");
      expect(stage.origin(1).text.match(/^GET/gm)).toHaveLength(1);
      expect(stage.records[0]!.tries.map((one) => one.fault)).toEqual(["upstream-reset", ""]);
      expectQuiet(stage);
    }
  });

  test("that fails leaves the first one alone", () => {
    const { stage, client } = hedged();
    stage.origin(1).reset();
    stage.origin(0).send(answer("first"));
    expect(client.text).toEndWith("first");
    expect(stage.faults).toEqual({});
    expectQuiet(stage);
  });

  test("both fail: one fault", () => {
    const { stage, client } = hedged();
    stage.origin(1).reset();
    stage.origin(0).end();
    expect(client.text).toContain("upstream-closed");
    expect(stage.faults).toEqual({ "upstream-closed": 1 });
    expectQuiet(stage);
  });

  test("with a status that is tried again is not the answer while the first may still do better, nor the other way round", () => {
    for (const [worse, better] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const { stage, client } = hedged(stageWith({ on: ["connect", "reset", 503] }));
      stage.origin(worse).send(answer("no", "", 503));
      expect(client.text).toBe("");
      stage.origin(better).send(answer("good"));
      expect(client.text).toEndWith("good");
      expectQuiet(stage);
    }
  });

  test("ends with its client", () => {
    const { stage, client } = hedged();
    client.reset();
    expect([stage.origin(0).wasReset, stage.origin(1).wasReset]).toEqual([true, true]);
    expectQuiet(stage);
  });

  test("has the time of one try for itself when the first one's is over", () => {
    const timeouts = { ...poolPlan().timeouts, perTry: 400 };
    const { stage, client } = hedged(stageWith({}, { timeouts }));
    stage.advance(200);
    expect([stage.origin(0).wasReset, stage.origin(1).wasReset]).toEqual([true, false]);
    stage.advance(100);
    stage.origin(1).send(answer("second"));
    expect(client.text).toEndWith("second");
    expectQuiet(stage);
  });

  test("has no more than that from when it began, whenever it takes the first one's place", () => {
    const timeouts = { ...poolPlan().timeouts, perTry: 400 };
    const { stage, client } = hedged(stageWith({}, { timeouts }));
    stage.advance(150);
    stage.origin(0).reset();
    // It began at 200 to 250 ms, so it is over at 600 to 650.
    stage.advance(175);
    expect(client.text).toBe("");
    stage.advance(100);
    expect(stage.origin(1).wasReset).toBeTrue();
    expect(client.text).toContain("try-timeout");
    expectQuiet(stage);
  });

  test("that is long connecting is told, and has, what is then left", () => {
    const timeouts = { ...poolPlan().timeouts, perTry: 400 };
    const stage = stageWith({}, { timeouts, deadlineHeader: "x-request-deadline" });
    stage.network.welcome = () => (stage.connects === 2 ? "silent" : "open");
    hedged(stage);
    stage.advance(100);
    stage.network.connects[1]!.open();
    stage.network.run();
    const left = Number(/x-request-deadline: (\d+)/.exec(stage.origin(1).text)?.[1]);
    expect(left).toBeGreaterThanOrEqual(250);
    expect(left).toBeLessThanOrEqual(300);
  });
});

describe("no hedge", () => {
  test("where nothing says so, for other methods, bodies and upgrades", () => {
    const off = stageWith({ hedge: 0 });
    off.asking(get);
    off.advance(5_000);
    expect(off.connects).toBe(1);
    for (const request of [
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ]) {
      const stage = stageWith();
      stage.asking(request);
      stage.advance(2_000);
      expect(stage.connects).toBe(1);
    }
  });

  test("beyond attempts and budget, and none to the same endpoint", () => {
    const once = stageWith({ attempts: 1 });
    once.asking(get);
    once.advance(1_000);
    expect(once.connects).toBe(1);
    const alone = stageWith({}, {}, 1);
    alone.asking(get);
    alone.advance(1_000);
    expect([alone.connects, alone.poolCell("hedges")]).toEqual([1, 0]);
    const poor = stageWith({ budget: 0 });
    for (let i = 0; i < 40; i++) poor.asking(get);
    poor.advance(1_000);
    expect(poor.poolCell("hedges")).toBe(30);
    expect(poor.poolCell("retriesDenied")).toBe(10);
  });

  test("when the answer came in time", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.advance(150);
    stage.origin(0).send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    stage.advance(2_000);
    stage.origin(0).send("llo");
    expect([client.text.endsWith("hello"), stage.connects]).toEqual([true, 1]);
    expectQuiet(stage);
  });
});
