// Bodies of our own error answers, read when the plan is made: no file is opened while a request waits.
import { formatSize } from "../base/units.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import { readText, type FileReader } from "./file-reader.ts";
import { error, type Finding } from "./problem.ts";
import type { Config } from "./schema/config.ts";

/** Pages by listener. */
export type ErrorPages = ReadonlyMap<string, ListenerPlan["errorPages"]>;

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
      const body = readText(full, reader);
      if (typeof body !== "string") {
        findings.push(
          error(
            path,
            `the page cannot be read: ${body.why}`,
            `paths are relative to the configuration: this one is ${full}`,
          ),
        );
      } else if (body.length > largestPage) {
        findings.push(
          error(path, `the page is larger than ${formatSize(largestPage)}`, "put images and styles elsewhere"),
        );
      } else return [{ status, contentType, body }];
      return [];
    });
    pages.set(name, read);
  }
  return { pages, findings };
}
