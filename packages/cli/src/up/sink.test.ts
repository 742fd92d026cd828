import { expect, test } from "bun:test";
import type { EndpointStatus, Status } from "@plimsoll/balancer/src/control/status.ts";
import { trafficSink, type Traffic } from "./sink.ts";

/** A supervisor with one pool, in which the test says what is so. */
function stage(refuse = "") {
  const endpoints = new Map<string, Partial<EndpointStatus>>();
  const story: string[] = [];
  const troubles: string[] = [];
  const traffic: Traffic = {
    updateEndpoints: (_pool, wanted) => {
      story.push(`update ${wanted.map(({ id, weight }) => `${id} weight ${weight}`).join(", ")}`);
      if (refuse !== "") return Promise.resolve({ ok: false, problems: [refuse] });
      for (const { id } of wanted) if (!endpoints.has(id)) endpoints.set(id, { state: "unknown" });
      return Promise.resolve({ ok: true, generation: 2, changes: [], notes: [] });
    },
    setEndpointState: (_pool, id, state) => {
      story.push(`${state} ${id}`);
      const known = endpoints.get(id);
      if (known === undefined) return `pool app has no endpoint ${id}`;
      endpoints.set(id, { ...known, state });
      return "";
    },
    status: () => {
      const list = [...endpoints].map(([id, facts]) => ({ id, reason: "", inFlight: 0, tunnels: 0, ...facts }));
      return { pools: [{ name: "app", endpoints: list }] } as unknown as Status;
    },
  };
  return { endpoints, story, troubles, sink: trafficSink(traffic, "app", 300, (text) => void troubles.push(text)) };
}

const one = { id: "app-1.1", stableId: "app-1", host: "127.0.0.1", port: 1 };
const two = { id: "app-2.1", stableId: "app-2", host: "127.0.0.1", port: 2 };

test("a new endpoint is waited for until it is in rotation; one that is known is not", async () => {
  const { sink, endpoints } = stage();
  let done = false;
  const set = sink.set([one]).then((inRotation) => {
    done = true;
    return inRotation;
  });
  await Bun.sleep(60);
  expect(done).toBe(false);
  endpoints.set(one.id, { state: "ready" });
  expect(await set).toBe(true);
  // The same one turns unready later: that is no reason to wait for it again.
  endpoints.set(one.id, { state: "unready" });
  endpoints.set(two.id, { state: "ready" });
  expect(await sink.set([one, two])).toBe(true);
});

test("what the balancer refuses is told", async () => {
  const { sink, troubles } = stage("no room");
  expect(await sink.set([one])).toBe(false);
  expect(troubles).toEqual(["the balancer does not take these endpoints: no room"]);
});

test("draining waits until nothing is in flight, no tunnel either", async () => {
  const { sink, endpoints, story, troubles } = stage();
  endpoints.set(one.id, { state: "ready", inFlight: 1, tunnels: 1 });
  endpoints.set(two.id, { state: "ready" });
  await sink.set([one, two]);
  story.length = 0;
  let done = false;
  const drained = sink.drain(one.id).then(() => (done = true));
  await Bun.sleep(60);
  endpoints.set(one.id, { state: "draining", tunnels: 1 });
  await Bun.sleep(60);
  expect(done).toBe(false);
  // Every worker acknowledges that it picks it no more before the counters are believed.
  expect(story).toEqual([`draining ${one.id}`, `update ${one.id} weight 0, ${two.id} weight 1`]);
  endpoints.set(one.id, { state: "draining" });
  await drained;
  await sink.set([two]);
  expect(story.at(-1)).toBe(`update ${two.id} weight 1`);
  expect(troubles).toEqual([]);
});

test("at the end of the window what is left is told", async () => {
  const { sink, endpoints, troubles } = stage();
  endpoints.set(one.id, { state: "ready", inFlight: 2, tunnels: 1 });
  await sink.drain(one.id);
  expect(troubles).toEqual([`${one.id} still has 2 in flight and 1 tunnels at the end of its drain window`]);
});

test("an endpoint that is gone is drained", async () => {
  const { sink, troubles } = stage();
  await sink.drain("app-9.9");
  expect(troubles).toEqual([]);
});
