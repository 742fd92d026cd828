import { describe, expect, test } from "bun:test";
import { parsed, withLines } from "./fixtures/requests.ts";

const of = (target: string, host = "a"): ReturnType<typeof parsed>["request"] =>
  parsed(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`).request;

describe("the request as routing sees it", () => {
  test("host: lower case, without port and without the root's dot", () => {
    const table = [
      ["Shop.Example", "shop.example"],
      ["shop.example:8080", "shop.example"],
      ["shop.example.", "shop.example"],
      ["shop.example.:80", "shop.example"],
      ["[2001:DB8::1]", "[2001:db8::1]"],
      ["[2001:db8::1]:8080", "[2001:db8::1]"],
      ["192.0.2.1:80", "192.0.2.1"],
    ] as const;
    for (const [received, host] of table) expect(of("/", received).host()).toBe(host);
    expect(of("/", "A:80").authority()).toBe("A:80");
  });

  test("path, query and target in every form", () => {
    const plain = of("/a/b?c=d&e");
    expect([plain.path(), plain.search(), plain.target()]).toEqual(["/a/b", "?c=d&e", "/a/b?c=d&e"]);
    expect([plain.query("c"), plain.query("e"), plain.query("x")]).toEqual(["d", "", undefined]);
    const absolute = of("http://a?q=1");
    expect([absolute.path(), absolute.search(), absolute.query("q")]).toEqual(["/", "?q=1", "1"]);
    const asterisk = parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").request;
    expect([asterisk.method(), asterisk.path(), asterisk.search()]).toEqual(["OPTIONS", "*", ""]);
  });

  test("an absolute target of HTTP/1.0 gives the host", () => {
    expect(parsed("GET http://B:81/ HTTP/1.0\r\n\r\n").request.host()).toBe("b");
    expect(parsed("GET / HTTP/1.0\r\n\r\n").request.host()).toBe("");
  });

  test("lines of one name are one list; cookies are joined in their own way", () => {
    const { request } = withLines("Accept: a", "X: 1", "ACCEPT:b", "Cookie: a=1", "Cookie: b=2; c=3");
    expect(request.header("accept")).toBe("a, b");
    expect(request.header("cookie")).toBe("a=1; b=2; c=3");
    expect(request.header("accep")).toBeUndefined();
    expect([request.cookie("a"), request.cookie("b"), request.cookie("c"), request.cookie("d")]).toEqual([
      "1",
      "2",
      "3",
      undefined,
    ]);
    expect(withLines().request.cookie("a")).toBeUndefined();
  });

  test("filled again, it remembers nothing of the request before", () => {
    const first = parsed("GET /one HTTP/1.1\r\nHost: one\r\nX: 1\r\n\r\n");
    const second = parsed("GET /two HTTP/1.1\r\nHost: two\r\n\r\n");
    const { request } = first;
    expect([request.host(), request.path(), request.header("x"), request.source()]).toEqual([
      "one",
      "/one",
      "1",
      "192.0.2.7",
    ]);
    request.set(second.bytes, second.head, "198.51.100.1");
    expect([request.host(), request.path(), request.header("x"), request.source()]).toEqual([
      "two",
      "/two",
      undefined,
      "198.51.100.1",
    ]);
  });
});
