import { expect, test } from "bun:test";
import fc from "fast-check";
import { dateLine, updateDate } from "./http-date.ts";

test("the line is the date of that second, always 37 bytes", () => {
  const times = fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true });
  fc.assert(
    fc.property(times, (date) => {
      updateDate(date.getTime());
      const line = Buffer.from(dateLine).toString("latin1");
      expect(line).toMatch(/^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n$/);
      expect(line).toHaveLength(37);
      expect(Date.parse(line.slice(6, -2))).toBe(Math.floor(date.getTime() / 1000) * 1000);
    }),
  );
});

test("within a second the bytes stay, at its end they change", () => {
  const at = (wall: number): string => {
    updateDate(wall);
    return Buffer.from(dateLine).toString("latin1");
  };
  const first = at(1_767_225_600_000);
  expect(first).toBe("Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
  expect(at(1_767_225_600_999)).toBe(first);
  expect(at(1_767_225_601_000)).toBe("Date: Thu, 01 Jan 2026 00:00:01 GMT\r\n");
});
