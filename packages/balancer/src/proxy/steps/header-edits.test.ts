import { describe, expect, test } from "bun:test";
import { parseRequestHead, requestLimits, RequestHead } from "@plimsoll/wire/http1";
import fc from "fast-check";
import { latin1, text } from "../../base/bytes.ts";
import type { HeaderEditsPlan } from "../plan.ts";
import { compileHeaderEdits, type HeaderEdits } from "./header-edits.ts";

const edits = (plan: Partial<HeaderEditsPlan>): HeaderEdits =>
  compileHeaderEdits({ set: [], add: [], remove: [], ...plan }) ?? expect.unreachable("there are edits");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const request = { host: () => "www.example.com" };

function written(of: HeaderEdits, id = ""): string {
  const out = new Uint8Array(of.room + 10).fill(0x2e);
  const idBytes = bytes("<" + id + ">");
  const end = of.write(out, 5, idBytes, 1, 1 + id.length);
  expect(end - 5).toBeLessThanOrEqual(of.room);
  expect([...out.subarray(0, 5), ...out.subarray(end)].every((byte) => byte === 0x2e)).toBe(true);
  return Buffer.from(out.subarray(5, end)).toString("utf8");
}

/** Names of a head's fields that pass, as the codec sees them. */
function passing(of: HeaderEdits, names: readonly string[]): string[] {
  const all = bytes(`GET / HTTP/1.1\r\nHost: x\r\n${names.map((name) => `${name}: v\r\n`).join("")}\r\n`);
  const head = new RequestHead();
  expect(parseRequestHead(all, 0, all.length, requestLimits, head, "pass")).toBe(all.length);
  return names.filter((_, i) => !of.removes(all, head.fields, i + 1));
}

test("no edits are null", () => {
  expect(compileHeaderEdits({ set: [], add: [], remove: [] })).toBeNull();
});

describe("removes", () => {
  test("what is removed and what is set, in any case; not what is added", () => {
    const of = edits({ remove: ["x-secret", "via"], set: [["X-Team", "a"]], add: [["X-More", "b"]] });
    expect(passing(of, ["X-SECRET", "x-secret", "VIA", "x-team", "x-more", "x-secret2", "x-secre", "viA2"])).toEqual([
      "x-more",
      "x-secret2",
      "x-secre",
      "viA2",
    ]);
  });

  test("exactly the named ones, whatever they are", () => {
    const name = fc.string({ unit: fc.constantFrom(..."abX-_1"), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 1, maxLength: 40 }),
        fc.array(name, { minLength: 1, maxLength: 20 }),
        (remove, names) => {
          const lower = new Set(remove.map((text) => text.toLowerCase()));
          expect(passing(edits({ remove }), names)).toEqual(names.filter((text) => !lower.has(text.toLowerCase())));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("write", () => {
  test("set before add, in order, as written", () => {
    const of = edits({
      add: [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
      ],
      set: [["X-Team", "Grün"]],
    });
    expect(written(of)).toBe("X-Team: Grün\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
    expect(of.prepare(request, "https", "192.0.2.1")).toBe(of);
  });

  test("fills in placeholders", () => {
    const of = edits({
      set: [
        ["X-A", "{client} via {scheme}://{host}/"],
        ["X-B", "{requestId}"],
        ["X-C", 'plain {"json": 1} {other}'],
      ],
    });
    expect(written(of.prepare(request, "https", "192.0.2.1"), "id-1")).toBe(
      'X-A: 192.0.2.1 via https://www.example.com/\r\nX-B: id-1\r\nX-C: plain {"json": 1} {other}\r\n',
    );
  });

  test("fills in the request id where it is known already", () => {
    const of = edits({ set: [["X-Id", "{requestId}"]] });
    expect(of.prepare(request, "http", "c")).toBe(of);
    expect(written(of.prepare(request, "http", "c", "id-2"), "other")).toBe("X-Id: id-2\r\n");
    const constant = edits({ set: [["X-A", "1"]] });
    expect(constant.prepare(request, "http", "c", "id-2")).toBe(constant);
  });

  test("one request's values are not another's", () => {
    const of = edits({ set: [["X-A", "{client}"]] });
    const first = of.prepare(request, "http", "192.0.2.1");
    const second = of.prepare(request, "http", "192.0.2.2");
    expect([written(first), written(second)]).toEqual(["X-A: 192.0.2.1\r\n", "X-A: 192.0.2.2\r\n"]);
  });

  test("an id that is too long for its room is left out", () => {
    expect(written(edits({ set: [["X-Id", "{requestId}"]] }), "i".repeat(128))).toBe(`X-Id: ${"i".repeat(128)}\r\n`);
    expect(written(edits({ set: [["X-Id", "{requestId}"]] }), "i".repeat(129))).toBe("X-Id: \r\n");
  });

  test("no value ends its line", () => {
    const of = edits({
      set: [
        ["X-A", "a\r\nX-Evil: 1"],
        ["X-B", "{host}"],
      ],
    });
    expect(written(of.prepare({ host: () => "h\r\nX-Evil: 2" }, "http", ""))).toBe(
      "X-A: aX-Evil: 1\r\nX-B: hX-Evil: 2\r\n",
    );
  });
});

describe("on lines of our own", () => {
  const own = bytes("Via: 1.1 plimsoll\r\nX-Forwarded-Proto: http\r\n");

  test("passing drops what is removed or set, and hands back the same bytes if nothing is", () => {
    const passed = (...remove: string[]): string => Buffer.from(edits({ remove }).passing(own)).toString();
    expect(passed("x-forwarded-proto")).toBe("Via: 1.1 plimsoll\r\n");
    expect(passed("via")).toBe("X-Forwarded-Proto: http\r\n");
    expect(passed("via", "x-forwarded-proto")).toBe("");
    expect(edits({ remove: ["x-other"] }).passing(own)).toBe(own);
    expect(edits({ remove: ["via"] }).passing(new Uint8Array(0)).length).toBe(0);
    expect(Buffer.from(own).toString()).toBe("Via: 1.1 plimsoll\r\nX-Forwarded-Proto: http\r\n");
  });

  test("passing leaves what it was given as it is, also where that is a Buffer", () => {
    const given = latin1("Via: 1.1 a\r\nX-Forwarded-Port: 80\r\nForwarded: for=b\r\n");
    const before = text(given, 0, given.length);
    const of = edits({ remove: ["x-forwarded-port"] });
    for (let request = 0; request < 2; request++) {
      expect(Buffer.from(of.passing(given)).toString()).toBe("Via: 1.1 a\r\nForwarded: for=b\r\n");
      expect(text(given, 0, given.length)).toBe(before);
    }
  });

  test("applyTo changes an answer's lines and nothing else", () => {
    const answer = { status: 200, lines: bytes("Content-Type: text/plain\r\n"), body: bytes("body") };
    const of = edits({ set: [["Content-Type", "text/html"]], add: [["X-Client", "{client}"]] });
    const edited = of.prepare(request, "http", "192.0.2.1").applyTo(answer);
    expect(Buffer.from(edited.lines).toString()).toBe("Content-Type: text/html\r\nX-Client: 192.0.2.1\r\n");
    expect([edited.status, edited.body]).toEqual([200, answer.body]);
    expect(Buffer.from(answer.lines).toString()).toBe("Content-Type: text/plain\r\n");
  });
});
