import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Endpoint } from "../endpoint.ts";
import { endpointPlan, makeTable, makeWorker, poolPlan } from "../fixtures.ts";
import type { StickyCookiePlan } from "../plan.ts";
import { cookie } from "./cookie.ts";
import { cookiePlan, pairOf, secret, stickyPlan, withCookies } from "./fixtures.ts";
import { Carried, newVisit, type Stick, type Visit } from "./stick.ts";

const start = 1_800_000_000_000;
const hour = 3_600_000;

/** A balancer of its own: another process, another machine, after a restart. */
function balancer(over: Partial<StickyCookiePlan> = {}, ids: readonly string[] = ["a", "b", "c"]) {
  const worker = makeWorker(makeTable());
  const load = { own: 0, others: 0 };
  const endpoints = ids.map(
    (id, slot) =>
      new Endpoint(poolPlan(), endpointPlan(slot, { id, stableId: id.replace(/\.\d+$/, "") }), worker, load),
  );
  const out = new Set<Endpoint>();
  const plan = stickyPlan("cookie", { cookie: cookiePlan(over) });
  const stick = cookie.build(plan, {
    table: worker.table,
    slot: 0,
    endpoints,
    weights: endpoints.map(() => 1),
    inRotation: (endpoint) => !out.has(endpoint),
  });
  return { endpoints, out, stick };
}

function given({ stick }: { stick: Stick }, endpoint: Endpoint, now = start): string {
  return pairOf(stick.write(newVisit(), endpoint, now))[1];
}

function seen({ stick }: { stick: Stick }, value: string, now = start): Visit {
  const visit = newVisit();
  stick.read(withCookies(["plimsoll", value]), now, visit);
  return visit;
}

describe("what is written", () => {
  test.each([
    [{}, false, "; Path=/; HttpOnly; SameSite=Lax"],
    [{}, true, "; Path=/; HttpOnly; Secure; SameSite=Lax"],
    [{ secure: "always" }, false, "; Path=/; HttpOnly; Secure; SameSite=Lax"],
    [{ secure: "never", httpOnly: false, sameSite: "strict" }, true, "; Path=/; SameSite=Strict"],
    [
      { sameSite: "none", secure: "always", partitioned: true, domain: "example.com", path: "/shop" },
      false,
      "; Path=/shop; Domain=example.com; HttpOnly; Secure; SameSite=None; Partitioned",
    ],
    [{ maxAge: 8 * hour }, false, "; Path=/; Max-Age=28800; HttpOnly; SameSite=Lax"],
  ] as const)("%o over TLS: %p", (over, secure, attributes) => {
    const { stick, endpoints } = balancer(over);
    const line = Buffer.from(stick.write({ ...newVisit(), secure }, endpoints[0]!, start)!).toString("latin1");
    expect(line.replace(/^Set-Cookie: plimsoll=v1\.[\w.-]+/, "")).toBe(`${attributes}\r\n`);
  });

  test("tells nobody the endpoint", () => {
    const ids = ["10.1.2.3:8080", "10.1.2.4:8080"];
    const value = given(balancer({}, ids), balancer({}, ids).endpoints[0]!);
    for (const part of ["10.1.2.3", "8080"]) {
      expect(value).not.toContain(part);
      expect(value).not.toContain(Buffer.from(part).toString("base64url").slice(0, 4));
      expect(Buffer.from(value.slice(3), "base64url").toString("latin1")).not.toContain(part);
    }
    expect(value).not.toBe(given(balancer({ secrets: [`${secret}2`] }, ids), balancer({}, ids).endpoints[0]!));
  });

  test("is made once, not for every request", () => {
    const { stick, endpoints } = balancer({ maxAge: hour });
    const first = stick.write(newVisit(), endpoints[0]!, start);
    expect(stick.write(newVisit(), endpoints[0]!, start + 1)).toBe(first);
  });
});

describe("what is believed", () => {
  test.each([0, hour])(
    "the cookie of another balancer with the same secret, also after a restart (maxAge %p)",
    (maxAge) => {
      const here = balancer({ maxAge });
      for (const [index, endpoint] of here.endpoints.entries()) {
        const there = balancer({ maxAge }, ["c", "b", "a"]);
        const visit = seen(there, given(here, endpoint));
        expect(visit).toMatchObject({ carried: Carried.known, stale: false });
        expect(visit.endpoint).toBe(there.endpoints[2 - index]!);
      }
    },
  );

  test.each([0, hour])("not one of another secret (maxAge %p)", (maxAge) => {
    const stranger = balancer({ maxAge, secrets: ["another-secret-of-length"] });
    const visit = seen(balancer({ maxAge }), given(stranger, stranger.endpoints[0]!));
    expect(visit).toMatchObject({ endpoint: null, carried: Carried.unknown });
  });

  test("one of an endpoint that has left is nobody's", () => {
    const before = balancer();
    const visit = seen(balancer({}, ["b", "c"]), given(before, before.endpoints[0]!));
    expect(visit).toMatchObject({ endpoint: null, carried: Carried.unknown });
  });

  test.each([0, hour])("two secrets: both are believed, the old one's cookies are renewed (maxAge %p)", (maxAge) => {
    const next = "the-next-secret-is-this";
    const old = balancer({ maxAge });
    const both = balancer({ maxAge, secrets: [next, secret] });
    const visit = seen(both, given(old, old.endpoints[1]!));
    expect(visit).toMatchObject({ carried: Carried.known, stale: true });
    expect(visit.endpoint).toBe(both.endpoints[1]!);
    const renewed = given(both, both.endpoints[1]!);
    expect(seen(both, renewed)).toMatchObject({ carried: Carried.known, stale: false });
    // When the old one is gone, so are its cookies; the renewed ones hold.
    const after = balancer({ maxAge, secrets: [next] });
    expect(seen(after, given(old, old.endpoints[1]!)).endpoint).toBeNull();
    expect(seen(after, renewed).endpoint).toBe(after.endpoints[1]!);
    // A balancer that has the new one second believes it as well: the order in which a fleet is changed does not matter.
    expect(seen(balancer({ maxAge, secrets: [secret, next] }), renewed).carried).toBe(Carried.known);
  });

  test("of several, the first genuine one; a planted one before it does no harm", () => {
    const here = balancer();
    const visit = newVisit();
    const value = given(here, here.endpoints[2]!);
    here.stick.read(
      withCookies(["plimsoll", "planted"], ["other", "x"], ["plimsoll", "v1.AAAAAAAAAAAAAAAA"], ["plimsoll", value]),
      start,
      visit,
    );
    expect(visit.endpoint).toBe(here.endpoints[2]!);
    const many = Array.from({ length: 1000 }, () => ["plimsoll", "planted"] as const);
    const flooded = newVisit();
    here.stick.read(withCookies(...many, ["plimsoll", value]), start, flooded);
    expect(flooded.endpoint).toBeNull();
  });

  test("of two runs of one instance, the one that takes new clients", () => {
    const here = balancer({}, ["app-1.1", "app-2.1", "app-1.2"]);
    const value = given(here, here.endpoints[0]!);
    expect(value).toBe(given(here, here.endpoints[2]!));
    here.out.add(here.endpoints[2]!); // it is starting
    expect(seen(here, value).endpoint).toBe(here.endpoints[0]!);
    here.out.clear();
    here.out.add(here.endpoints[0]!); // it is leaving
    expect(seen(here, value).endpoint).toBe(here.endpoints[2]!);
  });
});

describe("maxAge", () => {
  const maxAge = 8 * hour;
  const here = balancer({ maxAge });
  const value = given(here, here.endpoints[0]!);

  test("is enforced here, whatever the browser does", () => {
    expect(seen(here, value, start + maxAge * 0.99).carried).toBe(Carried.known);
    expect(seen(here, value, start + maxAge + 1)).toMatchObject({ endpoint: null, carried: Carried.expired });
    // Also by a balancer that has never seen it.
    expect(seen(balancer({ maxAge }), value, start + maxAge + 1).carried).toBe(Carried.expired);
  });

  test("begins anew while the client comes, and not with every answer", () => {
    expect(seen(here, value, start + maxAge / 16).stale).toBe(false);
    expect(seen(here, value, start + maxAge / 4).stale).toBe(true);
    const renewed = given(here, here.endpoints[0]!, start + maxAge / 4);
    expect(seen(here, renewed, start + maxAge * 1.1).carried).toBe(Carried.known);
  });

  test("cannot be escaped by cutting the time off", () => {
    expect(seen(here, value.slice(0, 19)).carried).toBe(Carried.unknown);
    expect(seen(here, given(balancer(), here.endpoints[0]!)).carried).toBe(Carried.unknown);
  });

  test("that is no longer wanted leaves old cookies valid, to be renewed", () => {
    expect(seen(balancer(), value, start + 10 * maxAge)).toMatchObject({ carried: Carried.known, stale: true });
  });

  test("does not believe in the future, except for clocks that differ a little", () => {
    expect(seen(here, value, start - 60_000).carried).toBe(Carried.known);
    expect(seen(here, value, start - hour).carried).toBe(Carried.unknown);
  });

  test.each([1, 999, 1000, 5000])("holds when it is short: %p ms", (short) => {
    const brief = balancer({ maxAge: short });
    const one = given(brief, brief.endpoints[0]!, start);
    expect(seen(brief, one, start).carried).toBe(Carried.known);
    expect(seen(brief, one, start + short + 1000).carried).toBe(Carried.expired);
  });
});

describe("forged ones", () => {
  const timed = balancer({ maxAge: hour });
  const plain = balancer();
  const genuine = [given(timed, timed.endpoints[0]!), given(plain, plain.endpoints[0]!)] as const;

  test("every change of a single character is seen", () => {
    for (const [here, value] of [[timed, genuine[0]] as const, [plain, genuine[1]] as const]) {
      for (let i = 0; i < value.length; i++) {
        for (const character of "AZaz09-_.=% ") {
          if (value[i] === character) continue;
          const forged = value.slice(0, i) + character + value.slice(i + 1);
          expect([forged, seen(here, forged).endpoint]).toEqual([forged, null]);
        }
      }
      for (let i = 0; i < value.length; i++) expect(seen(here, value.slice(0, i)).endpoint).toBeNull();
    }
  });

  test("parts of genuine ones do not make another", () => {
    const others = [timed.endpoints[1]!, timed.endpoints[2]!].map((one) =>
      given(timed, one, start + hour / 2).split("."),
    );
    const [version, tag, issued, mac] = genuine[0].split(".");
    for (const [, otherTag, otherIssued, otherMac] of others) {
      for (const forged of [
        [version, otherTag, issued, mac],
        [version, tag, otherIssued, mac],
        [version, tag, issued, otherMac],
        [version, otherTag, otherIssued, mac],
        [version, tag, `0${issued}`, mac],
        [version, tag, issued, tag],
        [version, mac],
      ]) {
        expect(seen(timed, forged.join("."), start + hour / 2).endpoint).toBeNull();
      }
    }
  });

  test("nothing that anybody makes up is believed, and nothing of it is remembered", () => {
    const piece = fc.oneof(
      fc.constantFrom(...genuine, ...genuine.flatMap((value) => value.split(".")), "v1", "v2", ".", "..", "zzzzzzz"),
      fc.string({ unit: "binary", maxLength: 24 }),
      fc.base64String({ maxLength: 20 }),
      fc.bigInt().map((number) => number.toString(36)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), fc.constantFrom("", "."), (pieces, glue) => {
        const value = pieces.join(glue);
        for (const here of [timed, plain]) {
          if ((genuine as readonly string[]).includes(value)) continue;
          expect(seen(here, value).endpoint).toBeNull();
        }
      }),
      { numRuns: 1500 },
    );
  });
});
