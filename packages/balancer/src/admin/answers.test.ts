import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AskedState } from "../control/endpoint-states.ts";
import type { Status } from "../control/status.ts";
import type { Supervisor } from "../control/supervisor.ts";
import { answer, pages } from "./answers.ts";
import { redactedPlan } from "./redact.ts";

/** A supervisor that notes what it is asked. */
function stub(over: Partial<Supervisor> = {}) {
  const asked: unknown[][] = [];
  const status = {
    readiness: "ready",
    workers: [{ row: 0, pid: 1, serving: true, rss: 0 }],
    listeners: [],
    pools: [{ name: "a/b", endpoints: [{ id: "[::1]:80", state: "draining" }] }],
  } as unknown as Status;
  const supervisor = {
    status: () => status,
    metrics: () => "plimsoll_ready 1\n",
    plan: () => ({ listeners: [], pools: [] }),
    reload: () => Promise.resolve({ ok: true, generation: 2, changes: ["pool a added"], notes: [] }),
    statesKnown: () => Promise.resolve(),
    stop: () => (asked.push(["stop"]), Promise.resolve(0)),
    setEndpointState: (pool: string, id: string, state: AskedState, _: unknown, window: number | null) => {
      asked.push([pool, id, state, window]);
      return pool === "a/b" ? "" : "there is no such pool";
    },
    ...over,
  } as unknown as Supervisor;
  const ask = async (method: string, path: string, body = "") => {
    const made = await answer(supervisor, { method, path, text: () => Promise.resolve(body) });
    return {
      ...made,
      json: made.type.startsWith("application/json") ? (JSON.parse(made.body) as Record<string, unknown>) : {},
    };
  };
  return { ask, asked };
}

test("reads what runs", async () => {
  const { ask } = stub();
  expect((await ask("GET", "/metrics")).body).toBe("plimsoll_ready 1\n");
  expect((await ask("GET", "/status")).json["readiness"]).toBe("ready");
  expect((await ask("GET", "/healthz")).status).toBe(200);
  expect((await ask("HEAD", "/readyz")).status).toBe(200);
  expect((await ask("GET", "/config")).json).toEqual({ listeners: [], pools: [] });
});

test("is not ready while it stops, nor without a worker", async () => {
  const status = (readiness: string, serving: boolean) =>
    stub({ status: () => ({ readiness, workers: [{ serving }], listeners: [] }) as unknown as Status });
  expect((await status("stopping", true).ask("GET", "/readyz")).status).toBe(503);
  expect((await status("starting", true).ask("GET", "/readyz")).status).toBe(503);
  expect((await status("ready", false).ask("GET", "/readyz")).status).toBe(503);
  expect((await status("stopping", true).ask("GET", "/healthz")).status).toBe(200);
});

test("reloads, and hands on every problem", async () => {
  expect((await stub().ask("POST", "/reload")).json["changes"]).toEqual(["pool a added"]);
  const refused = stub({ reload: () => Promise.resolve({ ok: false, problems: ["one", "two"] }) });
  const said = await refused.ask("POST", "/reload");
  expect(said.status).toBe(422);
  expect(said.json).toEqual({ error: "nothing was changed", problems: ["one", "two"] });
});

test("sets the state of an endpoint whatever its name", async () => {
  const { ask, asked } = stub();
  const path = `/pools/${encodeURIComponent("a/b")}/endpoints/${encodeURIComponent("[::1]:80")}/state`;
  const done = await ask("POST", path, '{"state":"draining"}');
  expect(done.status).toBe(200);
  expect(done.json["endpoint"]).toEqual({ id: "[::1]:80", state: "draining" });
  expect(done.json["othersInRotation"]).toBe(0);
  expect((await ask("POST", path, '{"state":"draining","window":"1m30s"}')).status).toBe(200);
  expect((await ask("POST", path, '{"state":"draining","window":"0s"}')).status).toBe(200);
  expect(asked).toEqual([
    ["a/b", "[::1]:80", "draining", null],
    ["a/b", "[::1]:80", "draining", 90_000],
    ["a/b", "[::1]:80", "draining", 0],
  ]);
  for (const body of [
    "",
    "{",
    "null",
    "[]",
    '{"state":"off"}',
    '{"state":1}',
    '{"state":"ready","window":"5s"}',
    '{"state":"draining","window":5}',
    '{"state":"draining","window":"soon"}',
  ]) {
    expect((await ask("POST", path, body)).status).toBe(400);
  }
  expect((await ask("POST", "/pools/x/endpoints/y/state", '{"state":"ready"}')).json["error"]).toBe(
    "there is no such pool",
  );
});

test("says what there is when something is not, and what a page takes", async () => {
  const { ask } = stub();
  const lost = await ask("GET", "/stats");
  expect(lost.status).toBe(404);
  expect(lost.json["error"]).toContain("GET /status");
  const wrong = await ask("GET", "/reload");
  expect([wrong.status, wrong.allow]).toEqual([405, "POST"]);
  expect((await ask("GET", "/%E0%A4%A")).status).toBe(400);
});

test("every page is documented", () => {
  const text = readFileSync(join(import.meta.dir, "../../../../docs/admin.md"), "utf8");
  for (const page of pages) {
    const path = page.path.map((part, index) => (part === "*" ? (index === 1 ? "<pool>" : "<id>") : part)).join("/");
    expect(text).toContain(`${page.method} /${path}`);
  }
});

test("what may be a secret is not shown", () => {
  const shown = JSON.stringify(
    redactedPlan({
      listeners: [
        {
          routes: [
            {
              requestHeaders: {
                set: [
                  ["Authorization", "Bearer s3cret"],
                  ["x-zone", "b"],
                ],
              },
            },
          ],
        },
      ],
      pools: [
        {
          readiness: { headers: [["X-Api-Key", "s3cret"]] },
          login: { user: "plimsoll", password: "s3cret", database: "" },
          script: [{ kind: "send", hex: Buffer.from("AUTH s3cret\r\n").toString("hex") }],
          sticky: { by: "cookie", name: "plimsoll", cookie: { secrets: ["s3cret", "another s3cret"] } },
        },
      ],
    } as never),
  );
  expect(shown).not.toContain("s3cret");
  expect(shown).not.toContain(Buffer.from("s3cret").toString("hex"));
  expect(shown).toContain('"user":"plimsoll"');
  expect(shown).toContain('["x-zone","b"]');
  expect(shown).toContain('["X-Api-Key","(not shown)"]');
});
