// Answers of a pool that fails open say so; no others do.
import { expect, test } from "bun:test";
import { EndpointState, StateCell } from "../observe/table.ts";
import { readiness } from "../pool/fixtures.ts";
import { withFailedOpen } from "./failing-open.ts";
import { poolPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

const line = 'Proxy-Status: plimsoll; details="failed-open"\r\n';

/** One endpoint, probed. */
function probed(failOpen = true) {
  const stage = new Stage({ pools: [poolPlan(1, { readiness, failOpen })] });
  const become = (state: keyof typeof EndpointState): void => {
    stage.table.cells[stage.table.state(0) + StateCell.state] = EndpointState[state];
    stage.advance(50);
  };
  return { stage, become };
}

test("an answer of a pool that fails open says so, and one after that does not", () => {
  const { stage, become } = probed();
  become("unready");
  const client = stage.asking(get);
  const origin = stage.origin();
  origin.send(answer("a"));
  expect(client.news()).toContain(line);
  become("ready");
  client.send(get);
  origin.send(answer("b"));
  expect(client.news()).not.toContain("Proxy-Status");
});

test("a WebSocket's answer says so, too", () => {
  const { stage, become } = probed();
  become("unready");
  const client = stage.asking("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  stage.origin().send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  expect(client.news()).toContain(line);
});

test("without fail open there is no answer of an endpoint to say it", () => {
  const { stage, become } = probed(false);
  become("unready");
  const news = stage.asking(get).news();
  expect(news).toStartWith("HTTP/1.1 503 ");
  expect(news).not.toContain("failed-open");
});

test("it stands beside other lines of ours", () => {
  const cookie = new TextEncoder().encode("Set-Cookie: a=b\r\n");
  expect(new TextDecoder().decode(withFailedOpen(cookie))).toBe(`Set-Cookie: a=b\r\n${line}`);
});
