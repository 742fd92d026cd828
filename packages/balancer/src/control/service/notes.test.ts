import { expect, test } from "bun:test";
import { systemTimers } from "../../net/clock.ts";
import { serviceEnvironment, ServiceNotes } from "./notes.ts";

test("what the environment says", () => {
  expect(serviceEnvironment({}, 7)).toEqual({ socket: "", watchdog: 0 });
  const env = { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "20000000" };
  expect(serviceEnvironment(env, 7)).toEqual({ socket: "/run/x", watchdog: 20_000 });
  expect(serviceEnvironment({ ...env, WATCHDOG_PID: "7" }, 7).watchdog).toBe(20_000);
  expect(serviceEnvironment({ ...env, WATCHDOG_PID: "8" }, 7).watchdog).toBe(0);
  expect(serviceEnvironment({ ...env, WATCHDOG_USEC: "soon" }, 7).watchdog).toBe(0);
  expect(serviceEnvironment({ ...env, WATCHDOG_USEC: "-5" }, 7).watchdog).toBe(0);
});

test("nobody listens: nothing happens, and nothing fails", () => {
  for (const socket of ["", "/nowhere/at/all", "x".repeat(200)]) {
    const notes = new ServiceNotes({ socket, watchdog: 1000 }, systemTimers);
    notes.ready("serving");
    notes.reloading();
    notes.watch(() => true);
    notes.stopping("stopping", 1000);
    notes.replacedBy(1);
    notes.close();
  }
});
