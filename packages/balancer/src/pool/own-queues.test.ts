import { expect, test } from "bun:test";
import type { Endpoint } from "./endpoint.ts";
import { bareEndpoints, makeWaiter, type TestWaiter } from "./fixtures.ts";
import { OwnQueues } from "./own-queues.ts";
import { WaitQueue } from "./queue.ts";

const [a, b] = bareEndpoints([1, 1]).endpoints as [Endpoint, Endpoint];

function waiting(queues: OwnQueues, endpoint: Endpoint, queuedAt = 0): TestWaiter {
  const waiter = makeWaiter();
  waiter.queuedAt = queuedAt;
  queues.push(endpoint, waiter);
  return waiter;
}

test("first come, first served, for each endpoint by itself", () => {
  const queues = new OwnQueues();
  const [a1, b1, a2] = [waiting(queues, a), waiting(queues, b), waiting(queues, a)];
  expect([queues.first(a), queues.first(b), queues.length]).toEqual([a1, b1, 3]);
  const served: unknown[] = [];
  let room = 1;
  queues.serve(
    (own) => (own === a && room-- > 0 ? a : null),
    (waiter, at) => served.push([waiter, at]),
  );
  expect(served).toEqual([[a1, a]]);
  expect([queues.first(a), queues.first(b), queues.length]).toEqual([a2, b1, 2]);
});

test("one may leave from wherever it stands, once; who waits elsewhere is not ours", () => {
  const queues = new OwnQueues();
  const [first, middle, last] = [waiting(queues, a), waiting(queues, a), waiting(queues, a)];
  expect([queues.remove(middle), queues.remove(middle), queues.length]).toEqual([true, false, 2]);
  const general = new WaitQueue();
  const stranger = makeWaiter();
  general.push(stranger);
  expect([queues.remove(stranger), general.length, queues.length]).toEqual([false, 1, 2]);
  expect([queues.remove(last), queues.remove(first), queues.first(a), queues.length]).toEqual([true, true, null, 0]);
});

test("gives up those that wait for too long, and no others", () => {
  const queues = new OwnQueues();
  const old = [waiting(queues, a, 10), waiting(queues, b, 20)];
  const young = waiting(queues, a, 21);
  const over: unknown[] = [];
  queues.expire(20, (waiter) => over.push(waiter));
  expect(over).toEqual(old);
  expect([queues.first(a), queues.first(b), queues.length]).toEqual([young, null, 1]);
});

test("who is served may queue again at once", () => {
  const queues = new OwnQueues();
  waiting(queues, a);
  let again = 0;
  queues.serve(
    (own) => (again < 3 ? own : null),
    () => {
      again++;
      waiting(queues, again % 2 === 0 ? a : b);
    },
  );
  expect([again, queues.length]).toEqual([3, 1]);
});
