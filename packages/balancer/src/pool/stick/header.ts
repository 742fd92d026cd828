// Clients with the same value of a header go to the same endpoint: tenants, user ids, API keys.
import { hashString } from "../../base/hash.ts";
import { Placement } from "./placement.ts";
import { Carried, type StickKind } from "./stick.ts";

export const header: StickKind = {
  name: "header",
  how: "by the hash of a header's value",
  build(plan, surroundings) {
    const placement = new Placement(surroundings);
    return {
      name: "header",
      ownCookie: "",
      learnsFrom: "",
      read(request, _wallNow, visit) {
        const value = request.header(plan.name);
        if (value === undefined || value === "") return;
        visit.endpoint = placement.find(hashString(value));
        visit.carried = Carried.hashed;
      },
      write: () => null,
      learn: () => undefined,
    };
  },
};
