// `plimsoll demo`: the shop, three times, behind the balancer.
import { expect, setDefaultTimeout, test } from "bun:test";
import { startProgram } from "../up/program.ts";
import { until } from "../up/stage.ts";

setDefaultTimeout(60_000);

test("the shop opens, is balanced, sells, streams, and closes", async () => {
  await using demo = startProgram(["demo", "--port", "0"]);
  const url = await demo.says(/The shop is open: (\S+)/);
  await until("all three answer", async () => {
    const names = new Set<string>();
    for (let turn = 0; turn < 20; turn++) names.add((await (await fetch(`${url}/who`)).text()).trim());
    return ["shop-1", "shop-2", "shop-3"].every((name) => names.has(name));
  });

  const page = await fetch(url);
  expect(page.headers.get("content-type")).toContain("text/html");
  expect(await page.text()).toContain("The Chandlery");
  const sold = await fetch(`${url}/cart`, {
    method: "POST",
    body: new URLSearchParams({ id: "lamp" }),
    redirect: "manual",
  });
  expect([sold.status, sold.headers.get("location")]).toEqual([303, "/cart"]);
  const cookie = sold.headers.get("set-cookie")?.split(";")[0] ?? "";
  const seller = sold.headers.get("x-instance");
  // The lesson of the demonstration: the cart is where the session is, and nowhere else.
  await until("the cart was seen with and without the lamp", async () => {
    const seen = new Map<string, boolean>();
    for (let turn = 0; turn < 30; turn++) {
      const cart = await fetch(`${url}/cart`, { headers: { cookie } });
      seen.set(cart.headers.get("x-instance") ?? "", (await cart.text()).includes("Deck lamp</td>"));
    }
    for (const [instance, hasLamp] of seen) expect([instance, hasLamp]).toEqual([instance, instance === seller]);
    return seen.size === 3;
  });

  const events = await fetch(`${url}/stock/events`);
  const { value } = (await events.body?.getReader().read()) ?? {};
  expect(new TextDecoder().decode(value)).toMatch(/^data: \{"instance":"shop-\d"\}/);
  const socket = new WebSocket(`${url.replace("http", "ws")}/`);
  const heard = new Promise<string>((resolve) =>
    socket.addEventListener("message", ({ data }) => resolve(String(data))),
  );
  socket.addEventListener("open", () => socket.send("ahoy"));
  expect(await heard).toMatch(/^shop-\d: ahoy$/);
  socket.close();

  for (const line of ["curl", "kill -9", "kill -HUP", "/metrics"]) expect(demo.out()).toContain(line);
  const metrics = /curl (http:\S+\/metrics)/.exec(demo.out())?.[1] ?? "";
  expect(await (await fetch(metrics)).text()).toContain("plimsoll_");
  demo.signal("SIGINT");
  // The open stream does not hold it up for long, and is no failure.
  expect(await demo.exited).toBe(0);
});

test("takes the next free port when its own is taken, and says so", async () => {
  let taken: Bun.TCPSocketListener<undefined> | null = null;
  try {
    taken = Bun.listen({ hostname: "127.0.0.1", port: 8080, socket: { data() {} } });
  } catch {
    // Somebody else has it already: just as good.
  }
  await using demo = startProgram(["demo"]);
  const url = await demo.says(/The shop is open: (\S+)/);
  expect(Number(new URL(url).port)).toBeGreaterThan(8080);
  expect(demo.err()).toContain("Port 8080 is taken on this machine, so the shop opens on port");
  expect((await fetch(url)).status).toBe(200);
  demo.signal("SIGTERM");
  expect(await demo.exited).toBe(0);
  taken?.stop(true);
});
