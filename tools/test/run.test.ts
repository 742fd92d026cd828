// The test runner must see what goes wrong: failures, skips, crashes, empty files, and what a test leaves behind.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstStale } from "../setup.mjs";
import { type Job, needsOf, planJobs, runsAlone, testFiles } from "./discover.ts";
import { readReport } from "./junit.ts";
import { missingPrograms } from "./programs.ts";
import { runJob } from "./run-job.ts";

let folder = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "runner-")));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function job(name: string, body: string, more: Partial<Job> = {}): Job {
  const file = `${name}.test.ts`;
  writeFileSync(join(folder, file), `import { expect, test } from "bun:test";\n${body}`);
  return { name, files: [file], needs: [], alone: false, testTimeout: 5000, timeout: 20_000, ...more };
}

test("passes, failures and skips are counted and named", async () => {
  const body = `test("good", () => {}); test.skip("left <out>", () => {}); test("bad", () => { expect(1).toBe(2); });`;
  const result = await runJob(folder, job("counts", body));
  expect(result).toMatchObject({ passed: 1, failed: ["bad"], skipped: ["left <out>"] });
  expect(result.output).toContain("Expected: 2");
});

test("a process that ends by itself, an empty file, and one that hangs are failures", async () => {
  expect((await runJob(folder, job("crash", `test("x", () => process.exit(3));`))).failed).toHaveLength(1);
  expect((await runJob(folder, job("empty", ""))).failed).toHaveLength(1);
  const hang = `test("x", () => { for (;;); });`;
  expect((await runJob(folder, job("hang", hang, { timeout: 500 }))).failed[0]).toContain("not done after 0.5 s");
});

test("a process left behind is named and ended", async () => {
  const body = `test("x", () => { Bun.spawn(["sleep", "61"], { detached: true }).unref(); });`;
  const result = await runJob(folder, job("leaves", body));
  expect(result.passed).toBe(1);
  expect(result.failed).toHaveLength(1);
  expect(result.failed[0]).toContain("sleep 61");
  const pid = Number(/process (\d+)/.exec(result.failed[0] ?? "")?.[1]);
  await Bun.sleep(50);
  expect(() => process.kill(pid, 0)).toThrow();
}, 20_000);

test("a temporary file left behind is named", async () => {
  const body = `import { writeFileSync } from "node:fs"; import { tmpdir } from "node:os";
    test("x", () => writeFileSync(tmpdir() + "/forgotten", ""));`;
  const result = await runJob(folder, job("file", body));
  expect(result.failed).toEqual(["file: left a temporary file behind: forgotten"]);
});

test("what a file asks for stands in its opening comment only", () => {
  expect(needsOf("// Title.\n// Needs: curl, nginx.\n\nimport x;")).toEqual(["curl", "nginx"]);
  expect(needsOf("// Title.\nimport x;\n// Needs: curl\n")).toEqual([]);
  expect(runsAlone("// Title.\n// Runs alone: it counts.\n")).toBe(true);
  expect(runsAlone("// Title. It runs alone\n")).toBe(false);
});

test("unit tests share a process by folder, integration tests have their own and come later", () => {
  const root = join(import.meta.dir, "../..");
  const jobs = planJobs(root, testFiles(root, []));
  const names = jobs.map((one) => one.name);
  expect(names).toContain("tools");
  expect(names).toContain("packages/balancer/src/net");
  const first = names.findIndex((name) => name.startsWith("tests/"));
  const afterwards = first < 0 ? [] : jobs.slice(first).filter((one) => !one.alone);
  expect(afterwards.every((one) => one.files.length === 1 && one.name.startsWith("tests/"))).toBe(true);
});

test("reports: escapes, nesting, and a failure's text that looks like a test case", () => {
  const xml = `<testsuite><testcase name="a &lt;b&gt; &#10;" classname="g &amp; h" file="x" />
    <testcase name="c > d" classname=""><failure message="&lt;testcase/&gt;">x</failure></testcase>
    <testcase name="e" classname="g"><skipped message="TODO" /></testcase></testsuite>`;
  expect(readReport(xml)).toEqual({ passed: 1, failed: ["c > d"], skipped: ["g > e"] });
});

test("programs and packages that are missing or outdated are noticed", () => {
  expect(missingPrograms(["sh", "no-such-program"])).toEqual(["no-such-program"]);
  const lock = {
    packages: {
      "": {},
      "node_modules/a": { version: "2.0.0" },
      "node_modules/b": { version: "1.0.0", optional: true },
    },
  };
  expect(firstStale(lock, { packages: { "node_modules/a": { version: "2.0.0" } } })).toBeUndefined();
  expect(firstStale(lock, { packages: { "node_modules/a": { version: "1.0.0" } } })).toBe("a");
  expect(firstStale(lock, { packages: {} })).toBe("a");
});
