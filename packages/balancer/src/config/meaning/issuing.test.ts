import { describe, expect, test } from "bun:test";
import { planAcme } from "../acme.ts";
import { loadObject } from "../module.ts";
import type { Problem } from "../problem.ts";
import { configSchema } from "../schema/config.ts";

const reader = { resolve: (_: string, written: string) => written, readFile: () => "" };

/** What is told of ordering certificates: of `acme`, and of the names of a listener `web` beside a plain one on `address`. */
function told(
  acme: object | undefined,
  names: readonly string[] | undefined,
  address = ":80",
  web: object = {},
): readonly Problem[] {
  const routes = [{ pool: "app" }];
  const config = {
    listeners: {
      plain: { address, routes },
      web: { address: ":443", routes, ...(names !== undefined && { tls: { acme: names } }), ...web },
    },
    pools: { app: { endpoints: ["127.0.0.1:3001"] } },
    ...(acme !== undefined && { acme }),
  };
  const loaded = loadObject(config, "plimsoll.config.ts", reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.filter(({ path, message }) => path.includes("acme") && !message.includes("not available yet"));
}

const short = (problems: readonly Problem[]) => problems.map(({ severity, path }) => `${severity} ${path}`);
const right = { acceptTerms: true, email: "ops@shop.com" };
const hook = { command: ["dns"] };

describe("ordering certificates", () => {
  test("what is right is not spoken of", () => {
    expect(told(right, ["shop.com", "www.shop.com"])).toEqual([]);
    expect(told({ ...right, challenge: "dns-01", hook }, ["shop.com", "*.shop.com"], ":8080")).toEqual([]);
    expect(told({ ...right, staging: true }, ["shop.com"])).toEqual([]);
    expect(told({ ...right, challenge: "tls-alpn-01" }, ["shop.com"], ":8080")).toEqual([]);
    expect(told(undefined, undefined)).toEqual([]);
  });

  test.each([
    ["names, and nobody to order from", undefined, ["shop.com"], "error listeners.web.tls.acme"],
    ["somebody to order from, and no names", right, undefined, "warning acme"],
    ["terms that are not accepted", { acceptTerms: false }, ["shop.com"], "error acme.acceptTerms"],
    ["terms that are not spoken of", {}, ["shop.com"], "error acme.acceptTerms"],
    ["dns-01 without a hook", { ...right, challenge: "dns-01" }, ["shop.com"], "error acme.challenge"],
    ["a hook without dns-01", { ...right, hook }, ["shop.com"], "warning acme.hook"],
    [
      "staging of another authority",
      { ...right, staging: true, directory: "https://ca.corp/dir" },
      ["a.com"],
      "error acme.staging",
    ],
    ["a hook with tls-alpn-01", { ...right, challenge: "tls-alpn-01", hook }, ["shop.com"], "warning acme.hook"],
    [
      "a wildcard by tls-alpn-01",
      { ...right, challenge: "tls-alpn-01" },
      ["*.shop.com"],
      "error listeners.web.tls.acme[0]",
    ],
    ["a wildcard by http-01", right, ["shop.com", "*.shop.com"], "error listeners.web.tls.acme[1]"],
    ["a name that nobody owns", right, ["shop.internal"], "error listeners.web.tls.acme[0]"],
    ["a name without a dot", right, ["shop"], "error listeners.web.tls.acme[0]"],
    ["an address", right, ["10.0.0.1"], "error listeners.web.tls.acme[0]"],
    ["a name twice", right, ["shop.com", "shop.com"], "warning listeners.web.tls.acme[1]"],
    [
      "more names than one certificate holds",
      right,
      Array.from({ length: 101 }, (_, n) => `n${n}.shop.com`),
      "error listeners.web.tls.acme",
    ],
    ["plain http to a directory", { ...right, directory: "http://ca.corp/dir" }, ["shop.com"], "error acme.directory"],
    [
      "a password in a directory",
      { ...right, directory: "https://a:b@ca.corp/dir" },
      ["shop.com"],
      "error acme.directory",
    ],
    ["no e-mail address", { ...right, email: "ops" }, ["shop.com"], "error acme.email"],
  ])("%s", (_, acme, names, expected) => {
    const problems = told(acme, names);
    expect(short(problems)).toEqual([expected]);
    expect(problems[0]?.hint ?? "").not.toBe("");
  });

  test("within a network an authority of one's own issues for any name", () => {
    expect(told({ ...right, directory: "https://ca.corp/dir" }, ["shop.internal", "shop"])).toEqual([]);
  });

  test("http-01 is asked on port 80", () => {
    expect(short(told(right, ["shop.com"], ":8080"))).toEqual(["warning acme.challenge"]);
  });

  test("a port where HTTP is told apart from TLS is one for http-01, too", () => {
    expect(short(told(right, ["shop.com"], ":8080", { address: ":80" }))).toEqual(["warning acme.challenge"]);
    expect(told(right, ["shop.com"], ":8080", { address: ":80", plainHttp: "redirect" })).toEqual([]);
  });

  test("tls-alpn-01 is asked on port 443, of a listener where TLS ends", () => {
    const acme = { ...right, challenge: "tls-alpn-01" };
    expect(short(told(acme, ["shop.com"], ":80", { address: ":8443" }))).toEqual(["warning acme.challenge"]);
    expect(told(acme, ["shop.com"], ":80", { address: ":8443" })[0]?.message).toBe(
      "no http listener with tls is on port 443, where tls-alpn-01 is asked",
    );
  });
});

test("the plan: sorted names give one order for all listeners that show it; another authority is another folder's matter", () => {
  const { plan } = planOf({ a: ["www.shop.com", "Shop.com"], b: ["shop.com", "www.shop.com"], c: ["other.com"] });
  expect(plan?.orders).toMatchObject([
    { names: ["shop.com", "www.shop.com"], listeners: ["a", "b"] },
    { names: ["other.com"], listeners: ["c"] },
  ]);
  expect(plan?.orders[0]?.id).toMatch(/^shop\.com-[0-9a-f]{12}$/);
  expect(plan).toMatchObject({
    directory: "https://acme-v02.api.letsencrypt.org/directory",
    storage: "/conf/acme",
    challenge: "http-01",
    hook: null,
  });
});

function planOf(listeners: Record<string, readonly string[]>) {
  const entries = Object.entries(listeners).map(([name, names], index) => [
    name,
    { address: `:${8443 + index}`, tls: { acme: names }, routes: [{ respond: { status: 200 } }] },
  ]);
  const config = configSchema.parse({ listeners: Object.fromEntries(entries), acme: { acceptTerms: true } });
  return { plan: planAcme(config, (written) => `/conf/${written}`) };
}
