import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, formatShare, formatSize, parseDuration, parseShare, parseSize } from "./units.ts";

const good: readonly [(text: string) => unknown, string, number][] = [
  [parseDuration, "30s", 30_000],
  [parseDuration, "1h30m", 5_400_000],
  [parseDuration, "250ms", 250],
  [parseDuration, "2d", 172_800_000],
  [parseDuration, "1.5s", 1500],
  [parseDuration, "1.1m", 66_000],
  [parseDuration, "1d2h3m4s5ms", 93_784_005],
  [parseDuration, "0s", 0],
  [parseSize, "16KiB", 16_384],
  [parseSize, "1MB", 1_000_000],
  [parseSize, "512B", 512],
  [parseSize, "1.5KiB", 1536],
  [parseSize, "2TiB", 2 * 1024 ** 4],
  [parseShare, "50%", 0.5],
  [parseShare, "12.5%", 0.125],
  [parseShare, "0%", 0],
  [parseShare, "100%", 1],
];

const bad: readonly [(text: string) => unknown, string, RegExp, RegExp][] = [
  [parseDuration, "30", /no unit/, /30s or 30ms/],
  [parseDuration, "", /not a number with a unit/, /1h30m/],
  [parseDuration, "-5s", /not a number with a unit/, /./],
  [parseDuration, "5 s", /not a number with a unit/, /./],
  [parseDuration, "5sec", /no unit "sec"/, /ms, s, m, h and d/],
  [parseDuration, "5S", /no unit "S"/, /./],
  [parseDuration, "30m1h", /wrong place/, /larger unit first/],
  [parseDuration, "1s1s", /wrong place/, /each once/],
  [parseDuration, "0.5ms", /finer than a millisecond/, /1ms/],
  [parseDuration, "3651d", /ten years/, /./],
  [parseDuration, "99999999999999999999d", /ten years/, /./],
  [parseSize, "16", /no unit/, /16B or 16KiB/],
  [parseSize, "16k", /no unit "k"/, /16KiB .* or 16KB/],
  [parseSize, "1mb", /no unit "mb"/, /1MiB .* or 1MB/],
  [parseSize, "1 KiB", /not a number/, /./],
  [parseSize, "1.5B", /whole number of bytes/, /./],
  [parseSize, "9999999TiB", /too large/, /./],
  [parseSize, "5bits", /no unit "bits"/, /./],
  [parseShare, "0.2", /no percent sign/, /20%/],
  [parseShare, "20", /no percent sign/, /20%/],
  [parseShare, "120%", /more than 100%/, /./],
  [parseShare, "-1%", /not a percentage/, /./],
  [parseShare, "half", /not a percentage/, /./],
];

describe("units", () => {
  for (const [parse, text, value] of good) {
    test(`${parse.name} reads ${text}`, () => expect(parse(text)).toBe(value));
  }
  for (const [parse, text, reason, hint] of bad) {
    test(`${parse.name} refuses "${text}"`, () => {
      expect(parse(text)).toEqual({ reason: expect.stringMatching(reason), hint: expect.stringMatching(hint) });
    });
  }

  test("durations come back from their text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3650 * 86_400_000 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
    expect(formatDuration(5_400_000)).toBe("1h30m");
  });

  test("sizes come back from their text", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        fc.constantFrom(1, 1000, 1024, 1024 ** 2),
        (n, unit) => {
          const bytes = Math.floor(n / unit) * unit;
          expect(parseSize(formatSize(bytes))).toBe(bytes);
        },
      ),
    );
    expect([16_384, 1_000_000, 512, 1025].map(formatSize)).toEqual(["16KiB", "1MB", "512B", "1025B"]);
  });

  test("shares come back from their text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), (thousandths) => {
        const share = thousandths / 100_000;
        expect(parseShare(formatShare(share))).toBeCloseTo(share, 12);
      }),
    );
    expect(formatShare(0.2)).toBe("20%");
  });

  test("no text makes a parser throw, and every number is finite and not negative", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{0,20}[a-zA-Z%]{0,4}$/));
    fc.assert(
      fc.property(text, fc.constantFrom(parseDuration, parseSize, parseShare), (input, parse) => {
        const reading = parse(input);
        if (typeof reading === "number") expect(Number.isFinite(reading) && reading >= 0).toBe(true);
        else expect(reading.reason.length * reading.hint.length).toBeGreaterThan(0);
      }),
    );
  });
});
