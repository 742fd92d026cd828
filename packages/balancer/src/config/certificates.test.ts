import { beforeAll, describe, expect, test } from "bun:test";
import { clientAuth, makeCertificate, type MadeCertificate } from "@plimsoll/testbed/certificates";
import { readCertificates } from "./certificates.ts";
import { loadObject } from "./module.ts";
import type { FileReader } from "./file-reader.ts";
import type { Problem } from "./problem.ts";
import { configSchema, type ConfigInput } from "./schema/config.ts";

const now = Date.now();
const files = new Map<string, string>();
const modes = new Map<string, number>();
const reader: FileReader = {
  resolve: (_, written) => `/conf/${written}`,
  readFile(path) {
    const text = files.get(path);
    if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
    return text;
  },
  mode: (path) => modes.get(path) ?? 0o600,
  wall: () => now,
};

function put(name: string, made: MadeCertificate): void {
  files.set(`/conf/${name}.crt`, made.cert);
  files.set(`/conf/${name}.key`, made.key);
}

beforeAll(async () => {
  put("shop", await makeCertificate({ names: ["shop.example", "*.shop.example"] }));
  put("shop2", await makeCertificate({ names: ["shop.example"] }));
  put("shop-rsa", await makeCertificate({ names: ["shop.example"], key: "RSA-2048" }));
  put("robot", await makeCertificate({ subject: "CN=robot", usages: [clientAuth] }));
  put("ca", await makeCertificate({ subject: "CN=Root", authority: true }));
});

const pair = (name: string) => ({ cert: `${name}.crt`, key: `${name}.key` });

function config(certificates: readonly string[], hosts: readonly string[] = [], tls: object = {}): ConfigInput {
  const routes = hosts.map((host) => ({ match: { host }, pool: "app" }));
  return {
    listeners: {
      web: { address: ":8443", tls: { certificates: certificates.map(pair) }, routes: [...routes, { pool: "app" }] },
    },
    pools: { app: { endpoints: ["127.0.0.1:3001"], ...tls } },
  };
}

/** What is told of certificates. */
function told(input: ConfigInput): readonly Problem[] {
  const loaded = loadObject(input, "/conf/plimsoll.config.ts", reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.filter(
    ({ path, message }) => /tls\.|match\.host/.test(path) && !message.includes("not available yet"),
  );
}

const short = (problems: readonly Problem[]) => problems.map(({ severity, path }) => `${severity} ${path}`);

describe("certificates of listeners", () => {
  test("what is right is read, and nothing is told", () => {
    expect(told(config(["shop", "shop-rsa"], ["shop.example", "a.shop.example", "*.shop.example"]))).toEqual([]);
    const { certificates } = readCertificates(configSchema.parse(config(["shop", "shop-rsa"])), "", reader);
    expect(certificates.listeners.get("web")).toMatchObject([
      { certFile: "/conf/shop.crt", keyFile: "/conf/shop.key", facts: { key: { kind: "ecdsa" } } },
      { cert: files.get("/conf/shop-rsa.crt"), key: files.get("/conf/shop-rsa.key"), facts: { key: { kind: "rsa" } } },
    ]);
  });

  test("a file that is not there is an error at its place, with the path that was tried", () => {
    const [cert, key] = told(config(["gone"]));
    expect(cert).toMatchObject({ severity: "error", path: "listeners.web.tls.certificates[0].cert" });
    expect(key).toMatchObject({ severity: "error", path: "listeners.web.tls.certificates[0].key" });
    expect(cert?.message).toContain("there is no such file");
    expect(cert?.hint).toContain("/conf/gone.crt");
  });

  test("what is wrong with a file is told at its place, with its name and the next step", () => {
    files.set("/conf/mixed.crt", files.get("/conf/shop.crt") ?? "");
    files.set("/conf/mixed.key", files.get("/conf/shop2.key") ?? "");
    const [problem] = told(config(["mixed"]));
    expect(problem).toMatchObject({ severity: "error", path: "listeners.web.tls.certificates[0].key" });
    expect(problem?.message).toStartWith("/conf/mixed.key: the key (ECDSA P-256) does not belong");
    expect(problem?.hint).not.toBe("");
  });

  test("a key that everybody can read", () => {
    modes.set("/conf/shop.key", 0o644);
    const [problem] = told(config(["shop"]));
    modes.set("/conf/shop.key", 0o640);
    expect(told(config(["shop"]))).toEqual([]);
    modes.delete("/conf/shop.key");
    expect(problem).toMatchObject({ severity: "warning", path: "listeners.web.tls.certificates[0].key" });
    expect(problem?.message).toContain("mode 644");
    expect(problem?.hint).toContain("chmod 600 /conf/shop.key");
  });

  test("hosts of routes that no certificate holds", () => {
    const hosts = ["shop.example", "a.b.shop.example", "other.example", "*.other.example", "10.0.0.1"];
    const problems = told(config(["shop"], hosts));
    expect(short(problems)).toEqual([1, 2, 3, 4].map((route) => `warning listeners.web.routes[${route}].match.host`));
    expect(problems[1]?.message).toBe(
      "no certificate of this listener holds other.example; they hold shop.example, *.shop.example",
    );
    // What a certificate that cannot be read holds, nobody knows.
    expect(short(told(config(["shop", "gone"], hosts)))).toEqual([
      "error listeners.web.tls.certificates[1].cert",
      "error listeners.web.tls.certificates[1].key",
    ]);
  });

  test("two for one name: RSA and ECDSA go together, two of a kind do not", () => {
    const problems = told(config(["shop", "shop-rsa", "shop2"]));
    expect(short(problems)).toEqual(["warning listeners.web.tls.certificates[2].cert"]);
    expect(problems[0]?.message).toContain("holds shop.example with a key of the same kind (ECDSA) already");
    const [twice] = told(config(["shop", "shop"]));
    expect(twice?.message).toContain("stands here twice");
  });
});

describe("certificates of pools", () => {
  test("authorities and a client's certificate", () => {
    expect(told(config(["shop"], [], { tls: { ca: "ca.crt", ...pair("robot") } }))).toEqual([]);
    expect(short(told(config(["shop"], [], { tls: { ca: "gone.pem", ...pair("gone") } })))).toEqual([
      "error pools.app.tls.ca",
      "error pools.app.tls.cert",
      "error pools.app.tls.key",
    ]);
    expect(short(told(config(["shop"], [], { tls: { ca: "shop.key" } })))).toEqual(["error pools.app.tls.ca"]);
  });

  test("half of a client's certificate", () => {
    expect(short(told(config(["shop"], [], { tls: { cert: "robot.crt" } })))).toEqual(["error pools.app.tls.cert"]);
    expect(short(told(config(["shop"], [], { tls: { key: "robot.key" } })))).toEqual(["error pools.app.tls.key"]);
  });
});

test("where nobody knows the day no certificate is too old", async () => {
  put("old", await makeCertificate({ names: ["old.example"], notBefore: 0, notAfter: 86_400_000 }));
  const { wall: _, ...timeless } = reader;
  const parsed = configSchema.parse(config(["old"]));
  expect(readCertificates(parsed, "", timeless).findings).toEqual([]);
  expect(readCertificates(parsed, "", reader).findings).toMatchObject([{ severity: "warning" }]);
});
