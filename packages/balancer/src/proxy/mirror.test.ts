// The copy of a request that goes to a second pool: its own, whatever becomes of the one that it was made of.
import { expect, test } from "bun:test";
import { listenerPlan, onPath, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

/** A pool that is copied to another one, whose endpoint is connected when the test says so. */
function staged() {
  const stage = new Stage({
    listeners: [listenerPlan({ routes: [routePlan({ match: onPath("/copied"), mirror: "shadow" }), routePlan()] })],
    pools: [poolPlan(), poolPlan(1, { slot: 1, name: "shadow" })],
  });
  const isShadow = (port: number): boolean => port === 3100;
  stage.network.welcome = (to) => (to.kind === "tcp" && isShadow(to.port) ? "silent" : "open");
  const connectionTo = (state: "open" | "connecting") => {
    const found = stage.network.connects.find((each) => each.state === state);
    if (found === undefined) throw new Error(`no connection is ${state}`);
    return found;
  };
  return { stage, connectionTo };
}

test.each([
  ["no body", "", ""],
  ["a body", "Content-Length: 4\r\n", "body"],
])("it is sent after its request was answered and another one came, with %s", (_, lines, body) => {
  const { stage, connectionTo } = staged();
  const client = stage.asking(`${body === "" ? "GET" : "PUT"} /copied HTTP/1.1\r\nHost: a\r\n${lines}\r\n${body}`);
  connectionTo("open").peer.send(answer());
  expect(client.text).toStartWith("HTTP/1.1 200");
  const shadow = connectionTo("connecting");
  // Somebody else's, which is written where the answered one was.
  stage.asking(get.replace("\r\n\r\n", "\r\nCookie: session=secret\r\n\r\n"));
  shadow.open();
  stage.network.run();
  expect(shadow.peer.text).toMatch(/^(GET|PUT) \/copied HTTP\/1\.1\r\nHost: a\r\n/i);
  expect(shadow.peer.text).not.toContain("secret");
  expect(shadow.peer.text).toEndWith(`\r\n\r\n${body}`);
  shadow.peer.send(answer());
  expect(stage.endpointCell("inFlight", 8)).toBe(0);
});
