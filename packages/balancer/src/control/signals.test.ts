import { expect, test } from "bun:test";
import { listenForSignals } from "./signals.ts";

test("the same signal by two ways is one; a later one means now", async () => {
  const heard: string[] = [];
  const forget = listenForSignals({
    stop: (signal) => heard.push(`stop ${signal}`),
    stopNow: (signal) => heard.push(`now ${signal}`),
    reload: () => heard.push("reload"),
    reopenLogs: () => heard.push("reopen"),
    upgrade: () => heard.push("upgrade"),
  });
  try {
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGTERM", "SIGTERM");
    process.emit("SIGHUP", "SIGHUP");
    expect(heard).toEqual(["stop SIGINT", "reload"]);
    await Bun.sleep(600);
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGUSR2", "SIGUSR2");
    expect(heard).toEqual(["stop SIGINT", "reload", "now SIGINT", "upgrade"]);
  } finally {
    forget();
  }
});
