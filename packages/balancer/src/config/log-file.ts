// The access log's file, looked at before anything runs: a worker that cannot open it would say so only when it starts, and
// without the place where it is written.
import type { FileReader } from "./file-reader.ts";
import { error, type Finding } from "./problem.ts";
import type { Config } from "./schema/config.ts";

/** A finding where lines could not be added to the file. Nothing is written. */
export function judgeLogFile({ log }: Config, file: string, reader: FileReader): Finding[] {
  const written = log.access;
  if (written === "none" || written === "stdout" || reader.probeAppend === undefined) return [];
  const full = reader.resolve(file, written);
  try {
    reader.probeAppend(full);
    return [];
  } catch (cause) {
    const { why, hint } = explain(cause, written, full, reader.resolve(full, "."));
    return [error(["log", "access"], `the access log ${written} cannot be opened: ${why}`, hint)];
  }
}

function explain(
  cause: unknown,
  written: string,
  full: string,
  folder: string,
): { readonly why: string; readonly hint: string } {
  switch (cause instanceof Error && "code" in cause ? cause.code : undefined) {
    case "ENOENT":
      return { why: `there is no folder ${folder}`, hint: `make it (mkdir -p ${folder}), or name another file` };
    case "ENOTDIR":
      return { why: `${folder} is no folder`, hint: "name a file in a folder that exists" };
    case "EISDIR":
      return { why: `${full} is a folder`, hint: `name a file in it: ${written.replace(/\/+$/, "")}/access.log` };
    case "EACCES":
    case "EPERM":
      return {
        why: `writing to ${full} is not permitted`,
        hint: "give the user that runs plimsoll the right to write there, or name another file",
      };
    case "EROFS":
      return {
        why: `${full} is on a file system that is read-only`,
        hint: "name a file that can be written, or stdout",
      };
    default:
      return { why: cause instanceof Error ? cause.message : String(cause), hint: "name another file, or stdout" };
  }
}
