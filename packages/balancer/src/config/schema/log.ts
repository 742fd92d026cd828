// What is written down.
import { z } from "zod";
import { compileAccessFormat } from "../../observe/access-format.ts";
import { text, written } from "./leaf.ts";

export const logSchema = z
  .strictObject({
    access: text("none, stdout, or a file")
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
