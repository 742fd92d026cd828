import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readModule } from "./read-module.ts";

const folder = mkdtempSync(join(tmpdir(), "read-module-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(text: string, limit?: number): ReturnType<typeof readModule> {
  const file = join(folder, "plimsoll.config.ts");
  writeFileSync(file, text);
  return readModule(file, folder, process.env, limit);
}

test("a value, a function that makes one, and a promise of one", async () => {
  const wanted = { kind: "value", value: { workers: 2 } } as const;
  expect(await read("export default { workers: 2 };")).toEqual(wanted);
  expect(await read("export default () => ({ workers: 2 });")).toEqual(wanted);
  expect(await read("export default Promise.resolve({ workers: 2 });")).toEqual(wanted);
});

test("what it imports is read anew each time", async () => {
  const main = 'import { workers } from "./part.ts"; export default { workers };';
  for (const workers of [1, 2]) {
    writeFileSync(join(folder, "part.ts"), `export const workers = ${workers};`);
    expect(await read(main)).toEqual({ kind: "value", value: { workers } });
  }
});

test.each([
  ["a syntax error", "export default {\n  workers: 2,\n  admin off,\n};\n", 3],
  ["a name that nobody knows", "const a = 1;\n\nexport default { workers: missing + a };\n", 3],
  ["an error thrown by what it calls", "import { a } from './caller.ts';\nexport default {\n  workers: a(),\n};\n", 3],
])("%s has its line", async (_, text, line) => {
  writeFileSync(
    join(folder, "caller.ts"),
    "export function a() {\n  const value = JSON.parse('{');\n  return value;\n}\n",
  );
  const message = await read(text);
  const file = join(folder, "plimsoll.config.ts");
  expect(message).toMatchObject({ kind: "failed", failure: { file, line } });
});

test("a syntax error in a file that is imported has its place there", async () => {
  const part = join(folder, "broken.ts");
  writeFileSync(part, "\nexport const workers = = 2;\n");
  const message = await read('import { workers } from "./broken.ts"; export default { workers };');
  expect(message).toMatchObject({ kind: "failed", failure: { file: part, line: 2 } });
});

test.each([
  ["one that waits for ever", "await new Promise(() => setInterval(() => {}, 1000)); export default {};", 500],
  ["one that turns in circles", "for (;;) {} export default {};", 500],
  ["one that has nothing left to wait for", "await new Promise(() => {}); export default {};", 500],
  ["one that exits", "process.exit(0);", undefined],
  ["one that kills itself", 'process.kill(process.pid, "SIGKILL"); await Bun.sleep(1000);', undefined],
  ["one that throws", 'throw new Error("boom");', undefined],
  ["one that holds a function", "export default { workers: () => 2 };", undefined],
] as const)("%s fails, and nothing else happens", async (_, text, limit) => {
  const message = await read(text, limit);
  expect(message.kind).toBe("failed");
  expect(message.kind === "failed" && message.failure.why).not.toBe("");
});
