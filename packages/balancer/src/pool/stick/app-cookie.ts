// The application's own cookie (JSESSIONID, connect.sid): whoever set it knows the session. What was learned from answers
// is shared by all workers and outlives reloads and workers; for a value that nobody has learned, after a restart or in
// another balancer, a hash of it decides, so that all of them at least agree.
import { hashString } from "../../base/hash.ts";
import type { Endpoint } from "../endpoint.ts";
import { LearnedSessions } from "./learned.ts";
import { Placement } from "./placement.ts";
import { Carried, type StickKind, type Visit } from "./stick.ts";

/** Two independent hashes: 64 bits tell sessions apart. */
const firstSeed = 0x5bd1e995;
const secondSeed = 0x1b873593;

export const appCookie: StickKind = {
  name: "appCookie",
  how: "by the application's cookie",
  build(plan, surroundings) {
    const placement = new Placement(surroundings);
    const sessions = new LearnedSessions(surroundings.table);
    const bySlot = new Map<number, Endpoint>(surroundings.endpoints.map((endpoint) => [endpoint.slot, endpoint]));
    const seed = surroundings.slot << 8; // the same value in two pools is two sessions
    const mark = (visit: Pick<Visit, "first" | "second">, value: string): void => {
      visit.first = hashString(value, firstSeed + seed);
      visit.second = hashString(value, secondSeed + seed);
    };
    const learning = { first: 0, second: 0 };
    return {
      name: "appCookie",
      ownCookie: "",
      learnsFrom: plan.name,
      read(request, _wallNow, visit) {
        const value = request.cookie(plan.name);
        if (value === undefined || value === "") return;
        mark(visit, value);
        const learned = bySlot.get(sessions.find(visit.first, visit.second));
        visit.endpoint = learned ?? placement.find(hashString(value));
        visit.carried = learned === undefined ? Carried.hashed : Carried.known;
      },
      write(visit, endpoint) {
        // It moved. Whoever has the session now keeps it, also when the other one is back.
        if (visit.carried !== Carried.nothing) sessions.remember(visit.first, visit.second, endpoint.slot);
        return null;
      },
      learn(value, endpoint) {
        if (value === "") return; // it is being deleted
        mark(learning, value);
        sessions.remember(learning.first, learning.second, endpoint.slot);
      },
    };
  },
};
