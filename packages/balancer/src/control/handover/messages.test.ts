import { expect, test } from "bun:test";
import { helloOf, helloProblem } from "./messages.ts";

test("programs of the same handover understand each other; one of another is told what to do instead", () => {
  const hello = helloOf(17, "0.2.0");
  expect(helloProblem(hello)).toBe("");
  expect(helloProblem({ ...hello, protocol: hello.protocol + 1 })).toMatch(
    /^is version 0\.2\.0, whose handover is another \(\d+, ours is \d+\); restart instead$/,
  );
});
