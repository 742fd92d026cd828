// What two scanners find at a TLS listener that has nothing but its defaults and a certificate.
// Needs: sslscan, testssl
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cleanUp, configFor, later, run } from "../control/running.ts";
import { certificates, startEcho, type Certificates } from "./stage.ts";

afterEach(cleanUp);

/** A program with certificates for "localhost", ECDSA and RSA, and one worker; gives its port. */
async function start(made: Certificates): Promise<number> {
  const echo = startEcho();
  later(() => echo.stop());
  const shown = [await made.issue("ec", ["localhost"]), await made.issue("rsa", ["localhost"], { key: "RSA-2048" })];
  const web = { address: "127.0.0.1:0", tls: { certificates: shown }, routes: [{ pool: "app" }] };
  const program = await run({ ...configFor(0, [echo.port]), listeners: { web }, workers: 1 });
  return program.port();
}

async function said(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  await child.exited;
  return text;
}

test("sslscan: nothing old, nothing weak", async () => {
  const port = await start(await certificates());
  const text = await said(["sslscan", "--no-colour", `localhost:${port}`]);
  for (const old of ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"])
    expect(text).toMatch(new RegExp(`^${old} +disabled$`, "m"));
  for (const good of ["TLSv1.2", "TLSv1.3"]) {
    expect(text).toMatch(new RegExp(`^${good} +enabled$`, "m"));
    expect(text).toContain(`${good} not vulnerable to heartbleed`);
  }
  expect(text).toContain("Server supports TLS Fallback SCSV");
  expect(text).toContain("Session renegotiation not supported");
  const suites = [...text.matchAll(/^(?:Preferred|Accepted) +TLSv1\.\d +\d+ bits +(\S+)/gm)].map(([, suite]) => suite);
  expect(suites.length).toBeGreaterThanOrEqual(9);
  for (const suite of suites) expect(suite).toMatch(/^(?:TLS_|ECDHE-(?:ECDSA|RSA)-).*(?:GCM|CHACHA20)/);
}, 120_000);

/** One line of testssl's report. */
interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/**
 * What is not the balancer's: the test's authority tells nobody whom it has revoked, and what browsers may do with a page is
 * for the application to say in its header fields.
 */
const others = /^(?:cert_revocation|security_headers)\b/;

/** Debian's version gives no grade; what it finds has a severity. */
test("testssl: no finding above LOW", async () => {
  const made = await certificates();
  const port = await start(made);
  const report = made.path("testssl.json");
  const how = ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "--ip", "127.0.0.1"];
  await said(["testssl", ...how, "--add-ca", made.ca, "--jsonfile", report, `localhost:${port}`]);
  const findings = JSON.parse(readFileSync(report, "utf8")) as readonly Finding[];
  // It got to its end, and looked at what it is for.
  for (const id of ["TLS1_3", "heartbleed", "ROBOT", "LUCKY13", "scanTime"]) {
    expect(findings.map((one) => one.id)).toContain(id);
  }
  const high = findings.filter(({ id, severity }) => !["OK", "INFO", "LOW"].includes(severity) && !others.test(id));
  expect(high.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)).toEqual([]);
}, 300_000);
