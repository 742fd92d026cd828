import { expect, test } from "bun:test";
import { field, firstAnswer, textOf } from "./answers.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

test("interim answers come with the final one, and what follows is left alone", () => {
  const text =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: 1\r\na: 2\r\n\r\nabc";
  const answer = firstAnswer(bytes(`${text}garbage`));
  expect(answer?.status).toBe(200);
  expect(answer?.end).toBe(text.length);
  expect(answer?.interim.map((one) => one.status)).toEqual([100, 103]);
  expect(answer && textOf(answer)).toBe("abc");
  expect(answer && field(answer, "A")).toBe("1, 2");
});

test("an answer is incomplete at every cut", () => {
  const whole = bytes(
    "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: v\r\n\r\n",
  );
  for (let cut = 0; cut < whole.length; cut++) expect(firstAnswer(whole.subarray(0, cut))).toBeUndefined();
  expect(firstAnswer(whole)?.trailers).toEqual([["T", "v"]]);
});

test("a body without length ends with the connection, and not before; a cut one is an error", () => {
  const open = bytes("HTTP/1.1 200 OK\r\n\r\nabc");
  expect(firstAnswer(open)).toBeUndefined();
  expect(firstAnswer(open, { closed: true })?.framing).toBe("untilClose");
  const cut = bytes("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc");
  expect(() => firstAnswer(cut, { closed: true })).toThrow("cut short");
});

test("the answer to HEAD has no body, a 101 ends the answers", () => {
  expect(firstAnswer(bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), { method: "HEAD" })?.body.length).toBe(0);
  const upgrade = "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
  expect(firstAnswer(bytes(`${upgrade}\x81\x00`))?.end).toBe(upgrade.length);
});

test("garbage is an error", () => {
  expect(() => firstAnswer(bytes("SSH-2.0-x\r\n"))).toThrow("status line");
  expect(() => firstAnswer(bytes("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"))).toThrow("field line");
});
