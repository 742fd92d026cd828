// What loading needs of the world outside, so that it can be given another one in tests.

export interface FileReader {
  /** The path of a file that is named in the configuration `from`: relative to its folder, unless it is absolute. */
  resolve(from: string, written: string): string;
  /** The whole file as UTF-8 text; `path` comes from `resolve`. Throws if it cannot be read. */
  readFile(path: string): string;
  /** Throws if nothing can be added to the file, which need not be there; changes nothing. Left out: it can. */
  probeAppend?(path: string): void;
  /** Permission bits of a file that could be read; nothing is said of permissions where it is left out. */
  mode?(path: string): number;
  /** Wall-clock ms; where it is left out, nobody knows the day, and no certificate is too old. */
  wall?(): number;
}

/** The text of a file, or why it cannot be had. */
export function readText(path: string, reader: FileReader): string | { readonly why: string } {
  try {
    return reader.readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT") return { why: "there is no such file" };
    if (code === "EACCES") return { why: "reading it is not permitted" };
    if (code === "EISDIR") return { why: "it is a folder" };
    return { why: cause instanceof Error ? cause.message : String(cause) };
  }
}
