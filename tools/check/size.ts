// File sizes. A file that grows past the limit either splits or says on its first line why it may not.
import { type CheckResult, type Finding, isTest, readText, repositoryFiles } from "./files.ts";

const limit = 600;
const testLimit = 800;
const thought = 400;

export function checkSize(
  files: readonly string[] = repositoryFiles().filter((file) => /\.(m?[jt]s|tsx)$/.test(file)),
  read: (file: string) => string = readText,
): CheckResult {
  const findings: Finding[] = [];
  const sizes: { file: string; lines: number }[] = [];
  for (const file of files) {
    const text = read(file);
    const lines = text.split("\n").length - 1;
    if (!isTest(file)) sizes.push({ file, lines });
    const most = isTest(file) ? testLimit : limit;
    if (lines > most && !/^\/\/ Over 600 lines because \S/.test(text)) {
      const text = `${lines} lines; over ${most} needs "// Over 600 lines because ..." on its first line`;
      findings.push({ file, line: 1, text });
    }
  }
  sizes.sort((a, b) => b.lines - a.lines);
  const median = sizes[Math.floor(sizes.length / 2)]?.lines ?? 0;
  if (median >= 150)
    findings.push({ file: "(all)", line: 0, text: `the median file has ${median} lines; 150 is the most` });
  const large = sizes.filter((one) => one.lines > thought).map((one) => `${one.file} ${one.lines}`);
  const top = sizes[0];
  const largest = top ? `, largest ${top.file} ${top.lines}` : "";
  const asks = large.length > 1 ? `; over ${thought}: ${large.join(", ")}` : "";
  return { findings, summary: `median ${median} lines${largest}${asks}` };
}
