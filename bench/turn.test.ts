import { expect, test } from "bun:test";
import { createServer, type AddressInfo } from "node:net";
import { mustBeFree } from "./turn.ts";

test("what already listens at a measurement's port is not measured for it", async () => {
  const stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  const { port } = stranger.address() as AddressInfo;
  expect(await mustBeFree([port]).catch(String)).toBe(
    `Error: something else listens at 127.0.0.1:${port}, which is for this measurement: stop it first`,
  );
  await new Promise<void>((resolve) => stranger.close(() => resolve()));
  await mustBeFree([port]);
});
