// Bodies of our own error answers, read when the plan is made: no file is opened while a request waits.
import { formatSize } from "../base/units.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import { error, type Finding } from "./problem.ts";
import type { Config } from "./schema/config.ts";

/** Pages by listener. */
export type ErrorPages = ReadonlyMap<string, ListenerPlan["errorPages"]>;

/** What loading needs of the file system. */
export interface FileReader {
  /** The path of a file that is named in the configuration `from`: relative to its folder, unless it is absolute. */
  resolve(from: string, written: string): string;
  /** The whole file as UTF-8 text; `path` comes from `resolve`. Throws if it cannot be read. */
  readFile(path: string): string;
}

/** A page goes to every worker and stays in memory; larger ones belong to a web server. */
const largestPage = 256 * 1024;

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".htm": "text/html; charset=utf-8",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
};

/** Reads all pages. What cannot be read becomes a finding. */
export function readErrorPages(
  config: Config,
  file: string,
  reader: FileReader,
): { pages: ErrorPages; findings: Finding[] } {
  const findings: Finding[] = [];
  const pages = new Map<string, ListenerPlan["errorPages"]>();
  for (const [name, listener] of Object.entries(config.listeners)) {
    const read = Object.entries(listener.errorPages).flatMap(([status, written]) => {
      const path = ["listeners", name, "errorPages", status];
      const contentType = contentTypes[/\.[^./]*$/.exec(written)?.[0].toLowerCase() ?? ""];
      if (contentType === undefined) {
        findings.push(error(path, "the kind of the page is not known from its name", "name it .html, .json or .txt"));
        return [];
      }
      const full = reader.resolve(file, written);
      const body = readPage(full, reader);
      if (body.length > largestPage) {
        findings.push(
          error(path, `the page is larger than ${formatSize(largestPage)}`, "put images and styles elsewhere"),
        );
      } else if (typeof body !== "string") {
        findings.push(
          error(
            path,
            `the page cannot be read: ${body.why}`,
            `paths are relative to the configuration: this one is ${full}`,
          ),
        );
      } else return [{ status, contentType, body }];
      return [];
    });
    pages.set(name, read);
  }
  return { pages, findings };
}

function readPage(path: string, reader: FileReader): string | { readonly why: string; readonly length: 0 } {
  try {
    return reader.readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT") return { why: "there is no such file", length: 0 };
    if (code === "EACCES") return { why: "reading it is not permitted", length: 0 };
    if (code === "EISDIR") return { why: "it is a folder", length: 0 };
    return { why: cause instanceof Error ? cause.message : String(cause), length: 0 };
  }
}
