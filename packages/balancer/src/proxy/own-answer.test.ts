import { describe, expect, test } from "bun:test";
import { Method } from "@plimsoll/wire/http1";
import { type FaultCode, faultCodes, faults } from "../base/fault.ts";
import { compileErrorPages } from "./error-pages.ts";
import { acceptedForm, faultAnswer, reasonPhrase, sentLength } from "./own-answer.ts";

const none = compileErrorPages([]);

function made(
  code: FaultCode,
  accept = "",
  requestId = "id",
  pages = none,
): { status: number; lines: string; body: string } {
  const { status, lines, body } = faultAnswer(code, { accept, requestId }, pages);
  return { status, lines: Buffer.from(lines).toString("latin1"), body: Buffer.from(body).toString("utf8") };
}

describe("the form by Accept", () => {
  const table: readonly (readonly [string, "html" | "json" | "text"])[] = [
    ["", "text"],
    ["*/*", "text"],
    ["text/html", "html"],
    ["TEXT/HTML", "html"],
    ["application/xhtml+xml", "html"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"],
    ["application/json", "json"],
    ["application/problem+json", "json"],
    ["application/json, text/plain, */*", "json"],
    ["text/plain, application/json", "text"],
    ["text/html;q=0.5, application/json;q=0.9", "json"],
    ["text/html; q=0.5 , application/json ; q=0.4", "html"],
    ["text/html;level=1;q=0.3, application/json;q=0.2", "html"],
    ["text/*, text/html", "html"],
    ["text/html, text/*", "html"],
    ["text/*;q=0.9, text/html;q=0.8", "text"],
    ["text/html;q=0", "text"],
    ["application/json;q=0, text/html;q=0.001", "html"],
    ["application/json;q=nonsense", "text"],
    ["application/json;q=nonsense, text/html;q=0.1", "html"],
    ["image/png", "text"],
    [",,;q=1,text/html", "html"],
    [`${"image/png,".repeat(40)}text/html`, "text"],
  ];
  test.each(table)("%s -> %s", (accept, form) => {
    expect(acceptedForm(accept)).toBe(form);
  });
});

describe("a fault's answer", () => {
  test("tells machines and people, for every code that has one", () => {
    for (const code of faultCodes) {
      const { status, proxyStatus, text } = faults[code];
      if (status === 0) continue;
      expect(reasonPhrase(status)).not.toBe("");
      for (const [accept, type] of [
        ["", "text/plain; charset=utf-8"],
        ["text/html", "text/html; charset=utf-8"],
        ["application/json", "application/json"],
      ] as const) {
        const answer = made(code, accept);
        expect(answer.status).toBe(status);
        expect(answer.lines).toBe(
          `Content-Type: ${type}\r\nCache-Control: no-store\r\n` +
            `Proxy-Status: plimsoll; error=${proxyStatus}; details="${code}"\r\nX-Request-Id: id\r\n`,
        );
        expect(answer.body).toContain(code);
        expect(answer.body).toContain(text);
        expect(answer.body).toEndWith("\n");
        if (type === "application/json") {
          expect(JSON.parse(answer.body)).toEqual({ status, fault: code, message: text, requestId: "id" });
        }
      }
    }
  });

  test("an id from outside cannot break out of the page", () => {
    const hostile = `"><script>alert('x')</script>&`;
    const { body } = made("connect-refused", "text/html", hostile);
    expect(body).not.toContain("<script>");
    expect(body).toContain("&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;".replaceAll("&#39;", "'"));
    expect(JSON.parse(made("connect-refused", "application/json", hostile).body)).toMatchObject({ requestId: hostile });
  });

  test("without an id says none", () => {
    for (const accept of ["", "text/html", "application/json"]) {
      const { lines, body } = made("route-not-found", accept, "");
      expect(lines).not.toContain("X-Request-Id");
      expect(body).not.toMatch(/Request <|requestId|Request $/);
    }
  });

  test("a page of the operator's takes the place of ours, the exact status before its class", () => {
    const pages = compileErrorPages([
      { status: "5xx", contentType: "text/html", body: "class" },
      { status: "503", contentType: "text/plain", body: "exäct" },
    ]);
    expect(made("pool-unusable", "text/html", "id", pages)).toMatchObject({ status: 503, body: "exäct" });
    expect(made("pool-unusable", "", "id", pages).lines).toStartWith("Content-Type: text/plain\r\n");
    expect(made("connect-refused", "", "id", pages)).toMatchObject({ status: 502, body: "class" });
    expect(made("connect-refused", "", "id", pages).lines).toContain('details="connect-refused"');
    expect(made("route-not-found", "", "id", pages).body).toContain("route-not-found");
  });

  test("whoever prefers JSON gets ours rather than a page that is none, and a page that is", () => {
    const pages = compileErrorPages([
      { status: "502", contentType: "application/json", body: '{"sorry":true}' },
      { status: "503", contentType: "text/html; charset=utf-8", body: "<h1>sorry</h1>" },
      { status: "504", contentType: "text/plain; charset=utf-8", body: "sorry" },
    ]);
    for (const code of ["pool-unusable", "connect-timeout"] as const) {
      const { lines, body } = made(code, "application/json, text/html;q=0.9", "id", pages);
      expect(lines).toStartWith("Content-Type: application/json\r\n");
      expect(JSON.parse(body)).toMatchObject({ fault: code });
      for (const accept of ["", "*/*", "text/html", "text/html, application/json", "text/plain", "image/png"]) {
        expect(made(code, accept, "id", pages).body).toContain("sorry");
      }
    }
    for (const accept of ["application/json", "text/html", ""]) {
      expect(made("connect-refused", accept, "id", pages).body).toBe('{"sorry":true}');
    }
  });
});

test("body bytes count only where they are sent", () => {
  const body = new Uint8Array(3);
  const lines = new Uint8Array(0);
  expect(sentLength({ status: 404, lines, body }, Method.get)).toBe(3);
  expect(sentLength({ status: 404, lines, body }, Method.head)).toBe(0);
  expect(sentLength({ status: 204, lines, body }, Method.get)).toBe(0);
  expect(sentLength({ status: 304, lines, body }, Method.get)).toBe(0);
});
