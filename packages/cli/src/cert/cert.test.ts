import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { readCertificate } from "@plimsoll/balancer/src/config/certificate/read.ts";
import { commands } from "../commands.ts";
import { runProgram } from "../program.ts";
import { testIo } from "../test-io.ts";
import { authorityFolder } from "./authority.ts";
import { developmentName, fileName } from "./names.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "plimsoll-cert-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function call(...args: readonly string[]) {
  const io = testIo(folder, { XDG_DATA_HOME: join(folder, "data") });
  const code = await runProgram(commands, ["cert", ...args], io, "1.2.3");
  return { code, ...io.printed };
}

const text = (...path: readonly string[]) => readFileSync(join(folder, ...path), "utf8");
const mode = (...path: readonly string[]) => statSync(join(folder, ...path)).mode & 0o777;
const authority = ["data", "plimsoll", "dev-authority"];

describe("plimsoll cert dev", () => {
  test("a certificate for the names, issued by an authority whose key nobody else can read", async () => {
    const { code, out, err } = await call("dev", "shop.localhost", "127.0.0.1", "::1");
    expect([code, err]).toEqual([0, ""]);
    expect(readdirSync(folder).sort()).toEqual(["data", "shop.localhost.crt", "shop.localhost.key"]);
    expect(mode("shop.localhost.key")).toBe(0o600);
    expect(mode(...authority, "authority.key")).toBe(0o600);
    expect(mode(...authority)).toBe(0o700);
    const { facts, findings } = readCertificate(text("shop.localhost.crt"), text("shop.localhost.key"), Date.now());
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({
      names: ["shop.localhost", "127.0.0.1", "::1"],
      key: { kind: "ecdsa", curve: "P-256" },
    });
    const days = ((facts?.notAfter ?? 0) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(90);
    const root = new X509Certificate(text(...authority, "authority.crt"));
    expect(new X509Certificate(text("shop.localhost.crt")).verify(root.publicKey)).toBe(true);
    for (const said of [
      "curl --cacert",
      "NODE_EXTRA_CA_CERTS=",
      "Firefox",
      join(folder, ...authority, "authority.crt"),
    ]) {
      expect(out).toContain(said);
    }
    expect(out).not.toContain("PRIVATE");
  });

  test("the next one comes from the same authority", async () => {
    const { out: first } = await call("dev", "a.test");
    const before = text(...authority, "authority.crt");
    const { out: second } = await call("dev", "b.test");
    expect(text(...authority, "authority.crt")).toBe(before);
    expect([first, second].map((out) => out.includes("made just now"))).toEqual([true, false]);
  });

  test("of several that begin at once one makes the authority, and nothing is left beside it", async () => {
    const results = await Promise.all(["a.test", "b.test", "c.test"].map((name) => call("dev", name)));
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(readdirSync(join(folder, "data", "plimsoll"))).toEqual(["dev-authority"]);
    const root = new X509Certificate(text(...authority, "authority.crt"));
    for (const name of ["a", "b", "c"])
      expect(new X509Certificate(text(`${name}.test.crt`)).verify(root.publicKey)).toBe(true);
  });

  test("files that are there stay, unless --force says otherwise", async () => {
    await call("dev", "a.test");
    const before = [text("a.test.crt"), text("a.test.key")];
    const { code, err } = await call("dev", "a.test");
    expect(code).toBe(1);
    expect(err).toContain("--force");
    expect([text("a.test.crt"), text("a.test.key")]).toEqual(before);
    expect((await call("dev", "a.test", "--force")).code).toBe(0);
    expect(text("a.test.crt")).not.toBe(before[0] ?? "");
    rmSync(join(folder, "a.test.crt"));
    expect((await call("dev", "a.test")).code).toBe(1);
    expect(existsSync(join(folder, "a.test.crt"))).toBe(false);
  });

  test("--json tells the same, and its YAML is a listener's", async () => {
    const { out } = await call("dev", "*.shop.localhost", "--out", "tls dir", "--json");
    const told = JSON.parse(out) as { cert: string; key: string; yaml: string; authority: { fresh: boolean } };
    expect(told).toMatchObject({
      cert: "tls dir/wildcard.shop.localhost.crt",
      names: ["*.shop.localhost"],
      authority: { fresh: true },
    });
    const { cert, key } = told;
    expect(Bun.YAML.parse(told.yaml)).toMatchObject({ listeners: { web: { tls: { certificates: [{ cert, key }] } } } });
  });

  test("an authority that cannot be used is not replaced in silence: others trust it", async () => {
    await call("dev", "a.test");
    writeFileSync(join(folder, ...authority, "authority.key"), "broken");
    const { code, err } = await call("dev", "b.test");
    expect(code).toBe(1);
    expect(err).toContain(join(folder, ...authority));
    expect(err).toContain("Remove that folder");
    expect(existsSync(join(folder, "b.test.crt"))).toBe(false);
  });

  test("a key that became readable is closed again", async () => {
    await call("dev", "a.test");
    chmodSync(join(folder, ...authority, "authority.key"), 0o644);
    await call("dev", "b.test");
    expect(mode(...authority, "authority.key")).toBe(0o600);
  });

  test.each([
    [["prod", "a.test"], /no certificate of the kind "prod"/],
    [["dev", "bank.com"], /somebody on the internet can own.*bank\.localhost/],
    [["dev", "8.8.8.8"], /an address of the internet/],
    [["dev", "*"], /alone is no name/],
    [["dev", "https://a.test"], /a URL is not a host/],
    [["dev"], /missing required argument/],
  ])("%p is wrong usage", async (args, said) => {
    const { code, err } = await call(...args);
    expect(code).toBe(2);
    expect(err).toMatch(said);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("names as certificates hold them, and as files are called", () => {
  expect(["LOCALHOST", "[::1]", "::1", "*.Shop.test", "bücher.test", "app.localhost."].map(developmentName)).toEqual([
    "localhost",
    "::1",
    "::1",
    "*.shop.test",
    "xn--bcher-kva.test",
    "app.localhost",
  ]);
  expect(["localhost", "::1", "*.shop.test"].map(fileName)).toEqual(["localhost", "--1", "wildcard.shop.test"]);
});

test("the data folder is XDG's", () => {
  expect(authorityFolder({ XDG_DATA_HOME: "/data" })).toBe("/data/plimsoll/dev-authority");
  expect(authorityFolder({ HOME: "/home/a" })).toBe("/home/a/.local/share/plimsoll/dev-authority");
  expect(authorityFolder({ XDG_DATA_HOME: "relative", HOME: "/home/a" })).toBe(
    "/home/a/.local/share/plimsoll/dev-authority",
  );
});
