// The balancer's own cookie (token.ts says what is in it). What can be made before the first request is made when the
// snapshot is built: a request costs a look into a map (0.2 microseconds with the pick, measured), and an HMAC only where a
// timed cookie is seen or renewed for the first time.
import { latin1 } from "../../base/bytes.ts";
import type { Endpoint } from "../endpoint.ts";
import type { StickyCookiePlan, StickyPlan } from "../plan.ts";
import { cookieAttributes } from "./cookie-attributes.ts";
import { SeenTokens } from "./seen-tokens.ts";
import { Carried, type Stick, type StickKind, type StickSurroundings, type Visit } from "./stick.ts";
import { endpointTag, plainToken, readTimed, sameMac, tagOfPlain, timedToken, timeMac } from "./token.ts";

/** Cookies of our name that are looked at in one request. Somebody else's may stand before ours. */
const mostLookedAt = 4;
/** A cookie is renewed when this share of its age is over: while a client comes, it stays. */
const renewalShare = 1 / 8;
/** Times are rounded down to this share of the age, at least a second: so there are few different cookies at a time. */
const grainShare = 1 / 256;
/** How much the clocks of two balancers may differ, ms. */
const mostSkew = 300_000;
const mostSeen = 16_384;

/** Those who answer to a tag: more than one while a run of an instance replaces another. */
interface Tagged {
  readonly endpoints: Endpoint[];
  readonly secret: string;
  /** Whether the first secret made it. */
  readonly current: boolean;
}

interface Genuine {
  readonly tagged: Tagged;
  /** Wall-clock ms. */
  readonly issued: number;
}

export const cookie: StickKind = {
  name: "cookie",
  how: "by a signed cookie of the balancer's own",
  build: (plan, surroundings) => new CookieStick(plan, plan.cookie as StickyCookiePlan, surroundings),
};

class CookieStick implements Stick {
  readonly name = "cookie";
  readonly ownCookie: string;
  readonly learnsFrom = "";
  readonly #plan: StickyCookiePlan;
  readonly #surroundings: StickSurroundings;
  readonly #tags = new Map<string, Tagged>();
  readonly #seen = new SeenTokens<Genuine>(mostSeen);
  readonly #plain: string;
  readonly #secure: string;
  readonly #grain: number;
  /** Lines by stable id, as of `#stamp`, without and with Secure. */
  #lines = new Map<string, readonly [plain: Uint8Array, secure: Uint8Array]>();
  #stamp = -1;

  constructor(sticky: StickyPlan, plan: StickyCookiePlan, surroundings: StickSurroundings) {
    this.ownCookie = sticky.name;
    this.#plan = plan;
    this.#surroundings = surroundings;
    this.#plain = cookieAttributes(plan, false);
    this.#secure = cookieAttributes(plan, true);
    this.#grain = Math.max(1, Math.floor((plan.maxAge * grainShare) / 1000));
    for (const [index, secret] of plan.secrets.entries()) {
      for (const endpoint of surroundings.endpoints) {
        const tag = endpointTag(secret, endpoint.stableId);
        const tagged = this.#tags.get(tag);
        if (tagged === undefined) this.#tags.set(tag, { endpoints: [endpoint], secret, current: index === 0 });
        else if (!tagged.endpoints.includes(endpoint)) tagged.endpoints.push(endpoint);
      }
    }
  }

  read: Stick["read"] = (request, wallNow, visit) => {
    for (let nth = 0; nth < mostLookedAt; nth++) {
      const value = request.cookie(this.ownCookie, nth);
      if (value === undefined) return;
      this.#judge(value, wallNow, visit);
      if (visit.carried === Carried.known) return;
    }
  };

  write: Stick["write"] = (visit, endpoint, wallNow) => {
    const stamp = this.#plan.maxAge === 0 ? 0 : Math.floor(wallNow / 1000 / this.#grain) * this.#grain;
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#lines = new Map();
    }
    let lines = this.#lines.get(endpoint.stableId);
    if (lines === undefined) {
      lines = this.#makeLines(endpoint.stableId, stamp);
      this.#lines.set(endpoint.stableId, lines);
    }
    return lines[visit.secure ? 1 : 0];
  };

  learn(): void {}

  #judge(value: string, wallNow: number, visit: Visit): void {
    const { maxAge } = this.#plan;
    const tag = tagOfPlain(value);
    if (tag !== "") {
      // Without a time it could live for ever, also when it once had one that was cut off.
      const tagged = maxAge === 0 ? this.#tags.get(tag) : undefined;
      if (tagged === undefined) visit.carried = Math.max(visit.carried, Carried.unknown);
      else this.#belongs(tagged, !tagged.current, visit);
      return;
    }
    const genuine = this.#seen.get(value) ?? this.#verify(value);
    const age = genuine === undefined ? 0 : wallNow - genuine.issued;
    if (genuine === undefined || age < -mostSkew) visit.carried = Math.max(visit.carried, Carried.unknown);
    else if (maxAge > 0 && age > maxAge) visit.carried = Math.max(visit.carried, Carried.expired);
    else this.#belongs(genuine.tagged, !genuine.tagged.current || maxAge === 0 || age > maxAge * renewalShare, visit);
  }

  #verify(value: string): Genuine | undefined {
    const token = readTimed(value);
    const tagged = token === null ? undefined : this.#tags.get(token.tag);
    if (token === null || tagged === undefined) return undefined;
    if (!sameMac(token.mac, timeMac(tagged.secret, token.tag, token.issued))) return undefined;
    const genuine = { tagged, issued: token.issued * 1000 };
    this.#seen.set(value, genuine);
    return genuine;
  }

  /** To the run that takes new clients, if there are several: the other one is about to leave. */
  #belongs(tagged: Tagged, stale: boolean, visit: Visit): void {
    const { endpoints } = tagged;
    let endpoint = endpoints[0]!;
    if (endpoints.length > 1) endpoint = endpoints.find((one) => this.#surroundings.inRotation(one)) ?? endpoint;
    visit.endpoint = endpoint;
    visit.stale = stale;
    visit.carried = Carried.known;
  }

  #makeLines(stableId: string, stamp: number): readonly [Uint8Array, Uint8Array] {
    const secret = this.#plan.secrets[0]!;
    const tag = endpointTag(secret, stableId);
    const token = this.#plan.maxAge === 0 ? plainToken(tag) : timedToken(secret, tag, stamp);
    const start = `Set-Cookie: ${this.ownCookie}=${token}`;
    return [latin1(start + this.#plain), latin1(start + this.#secure)];
  }
}
