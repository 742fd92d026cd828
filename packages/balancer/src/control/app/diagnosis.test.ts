import { describe, expect, test } from "bun:test";
import { explainFailedStart, lostPort, seconds, type FailedStart } from "./diagnosis.ts";

const seen: FailedStart = {
  port: 20_100,
  readyPath: null,
  exit: null,
  spawnError: "",
  waited: 60_000,
  elsewhere: [],
  lastKnock: "",
  lastLines: [],
};
const exited = { code: 1, signal: "" };

/** How well-known programs complain of a port that is taken. */
const complaints: readonly (readonly [string, string])[] = [
  ["Node", "Error: listen EADDRINUSE: address already in use :::20100"],
  ["Node on an address", "Error: listen EADDRINUSE: address already in use 127.0.0.1:20100"],
  ["Bun", 'error: Failed to start server. Is port 20100 in use? code: "EADDRINUSE"'],
  ["Go", "listen tcp :20100: bind: address already in use"],
  ["gunicorn", "[ERROR] Connection in use: ('0.0.0.0', 20100): Address already in use (port 20100)"],
];

describe("a port that somebody else took", () => {
  for (const [program, line] of complaints) {
    test(`is understood from ${program}`, () => {
      expect(lostPort({ ...seen, exit: exited, lastLines: ["before", line, "after"] })).toBe(true);
      expect(lostPort({ ...seen, exit: exited, port: 20_101, lastLines: [line] })).toBe(false);
    });
  }

  test("is nothing of the kind without the complaint, or while the program runs", () => {
    expect(lostPort({ ...seen, exit: exited, lastLines: ["listening on :20100"] })).toBe(false);
    expect(lostPort({ ...seen, lastLines: [complaints[0]?.[1] ?? ""] })).toBe(false);
  });
});

describe("the explanation", () => {
  test("of a program that ended", () => {
    expect(explainFailedStart({ ...seen, exit: exited, waited: 420 })).toBe(
      "it exited with code 1 after 420 ms, before it was ready.",
    );
    expect(explainFailedStart({ ...seen, exit: { code: null, signal: "SIGSEGV" } })).toContain("was ended by SIGSEGV");
    expect(explainFailedStart({ ...seen, exit: { code: 127, signal: "" } })).toContain("did not find the command");
    expect(explainFailedStart({ ...seen, exit: { code: 0, signal: "" } })).toContain("has to stay in the foreground");
  });

  test("of a program that wants its own port", () => {
    const why = explainFailedStart({
      ...seen,
      exit: exited,
      lastLines: ["Error: listen EADDRINUSE: address already in use :::3000"],
    });
    expect(why).toContain("It wanted port 3000 instead of the one it was given (PORT=20100)");
  });

  test("of a program that listens elsewhere", () => {
    const why = explainFailedStart({ ...seen, elsewhere: [3000] });
    expect(why).toContain("not ready after 60 s. It listens on port 3000 instead of the one it was given (PORT=20100)");
    expect(why).toContain("'$PORT'");
  });

  test("of a program that does not listen", () => {
    expect(explainFailedStart(seen)).toContain("does not listen on the port it was given (PORT=20100)");
  });

  test("of a program whose readiness says no", () => {
    expect(explainFailedStart({ ...seen, readyPath: "/readyz", lastKnock: "status 503" })).toBe(
      "it was not ready after 60 s. It listens on its port (20100), but GET /readyz got status 503.",
    );
  });

  test("of a program that is not there", () => {
    expect(explainFailedStart({ ...seen, spawnError: "no such program: nmp" })).toBe(
      "it could not be started: no such program: nmp.",
    );
  });
});

test("times as people say them", () => {
  expect([3, 999, 1000, 2345, 60_000].map(seconds)).toEqual(["3 ms", "999 ms", "1.0 s", "2.3 s", "60 s"]);
});
