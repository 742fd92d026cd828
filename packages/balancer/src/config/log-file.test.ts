import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disk } from "./disk.ts";
import { type FileReader, loadConfig } from "./load.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plimsoll-log-file-"));
  mkdirSync(join(folder, "logs"));
  writeFileSync(join(folder, "file"), "kept\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What is said of an access log in this file. */
function said(access: string, reader: FileReader = disk) {
  const web = "web: { address: 127.0.0.1:8080, routes: [{ pool: app }] }";
  const text = `log:\n  access: ${access}\nlisteners: { ${web} }\npools: { app: { endpoints: [127.0.0.1:3000] } }\n`;
  const loaded = loadConfig({ text, file: join(folder, "plimsoll.yaml") }, {}, reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems
    .filter(({ path }) => path.startsWith("log"))
    .map(({ severity, line, column, path, message, hint }) => ({ severity, line, column, path, message, hint }));
}

const at = { severity: "error", line: 2, column: 11, path: "log.access" } as const;

describe("an access log that cannot be opened is an error at its place", () => {
  test("no folder", () => {
    expect(said("./missing/deep/access.log")).toEqual([
      {
        ...at,
        message: `the access log ./missing/deep/access.log cannot be opened: there is no folder ${folder}/missing/deep`,
        hint: `make it (mkdir -p ${folder}/missing/deep), or name another file`,
      },
    ]);
    expect(existsSync(join(folder, "missing"))).toBeFalse();
  });

  test("a folder itself, or a file in the place of its folder", () => {
    expect(said("./logs")).toEqual([
      {
        ...at,
        message: `the access log ./logs cannot be opened: ${folder}/logs is a folder`,
        hint: "name a file in it: ./logs/access.log",
      },
    ]);
    expect(said("./file/access.log")).toEqual([
      {
        ...at,
        message: `the access log ./file/access.log cannot be opened: ${folder}/file is no folder`,
        hint: "name a file in a folder that exists",
      },
    ]);
  });

  test("not permitted, on a read-only file system, or anything else", () => {
    const whys = ["EACCES", "EPERM", "EROFS", "ELOOP"].map((code) => {
      const reader: FileReader = {
        ...disk,
        probeAppend: () => {
          throw Object.assign(new Error(`${code}: too strange`), { code });
        },
      };
      const [problem] = said("/var/log/access.log", reader);
      expect(problem).toMatchObject(at);
      expect(problem!.hint).toContain("name a");
      return problem!.message.replace(/^.* cannot be opened: /, "");
    });
    expect(whys).toEqual([
      "writing to /var/log/access.log is not permitted",
      "writing to /var/log/access.log is not permitted",
      "/var/log/access.log is on a file system that is read-only",
      "ELOOP: too strange",
    ]);
  });
});

test("one that can be opened is not made, changed or spoken of, and devices are files", () => {
  for (const access of ["./logs/access.log", "./file", "/dev/null", "none", "stdout"]) expect(said(access)).toEqual([]);
  expect(existsSync(join(folder, "logs/access.log"))).toBeFalse();
});
