// Requests from the same address go to the same endpoint. Coarse: an office behind one address is one client, a telephone
// that changes networks is two.
import { hashString } from "../../base/hash.ts";
import { Placement } from "./placement.ts";
import { Carried, type StickKind } from "./stick.ts";

export const source: StickKind = {
  name: "source",
  how: "by the hash of the client's address",
  build(_plan, surroundings) {
    const placement = new Placement(surroundings);
    return {
      name: "source",
      ownCookie: "",
      learnsFrom: "",
      read(request, _wallNow, visit) {
        const address = request.source();
        if (address === "") return;
        visit.endpoint = placement.find(hashString(address));
        visit.carried = Carried.hashed;
      },
      write: () => null,
      learn: () => undefined,
    };
  },
};
