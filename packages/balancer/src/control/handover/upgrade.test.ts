import { expect, test } from "bun:test";
import { Upgrades, type UpgradesNeeds } from "./upgrade.ts";

test("a program that stops starts no other, and an order that was left for it counts for no later upgrade", async () => {
  const orders = [{ binary: "./v2", patience: 1 }];
  const told: string[] = [];
  let begun = 0;
  const upgrades = new Upgrades({
    again: { command: () => ["never"] },
    version: "1",
    directory: { takeOrder: () => orders.pop() ?? null },
    log: { event: (level: string, name: string, text: string) => void told.push(`${level} ${name}: ${text}`) },
    stopping: () => true,
    alone: async () => {
      begun++;
      return true;
    },
  } as unknown as UpgradesNeeds);
  expect(await upgrades.run("SIGUSR2")).toEqual({ ok: false, refused: true, problem: "the program is stopping" });
  expect([orders, begun]).toEqual([[], 0]);
  expect(told).toEqual(["warn upgrade.refused: the program is stopping"]);
});
