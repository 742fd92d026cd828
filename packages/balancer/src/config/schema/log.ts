// What is written down.
import { z } from "zod";
import { compileAccessFormat } from "../../observe/access-format.ts";
import { written } from "./leaf.ts";

export const logSchema = z
  .strictObject({
    access: written(
      { noun: "none, stdout or a file", hint: "write none, stdout, or the path of a file with a slash in it" },
      (access) => {
        if (access === "none" || access === "stdout" || access.includes("/")) return access;
        // `off`, `true` or `stderr` would otherwise become files of that name.
        return { reason: "it is a single word", hint: `write none or stdout; if a file is meant, ./${access}` };
      },
    )
      .meta({ examples: ["none", "stdout", "/var/log/plimsoll/access.log"] })
      .prefault("none")
      .describe("Where each exchange is written: `none`, `stdout`, or a file (relative to this one)."),
    format: written(
      { noun: "a format", hint: 'write json, combined, or a template: "{method} {target} {status}"' },
      (format) => {
        const compiled = compileAccessFormat(format);
        if (typeof compiled === "function") return format;
        return { reason: compiled.problem, hint: 'write json, combined, or a template: "{method} {target} {status}"' };
      },
    )
      .meta({ examples: ["json", "combined", "{method} {target} {status}"] })
      .prefault("json")
      .describe("`json`, `combined` (as nginx writes it), or a template with fields in braces."),
  })
  .prefault({})
  .describe("The access log.");
