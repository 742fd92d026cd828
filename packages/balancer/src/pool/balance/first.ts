// The first one in the configuration's order that has room: fills one endpoint before it wakes the next. Without
// `limits.inFlight` it is a plain order of preference. Weights have no say.
import type { Algorithm } from "./algorithm.ts";

export const first: Algorithm = {
  name: "first",
  how: "the first that has room",
  needsKey: false,
  build(usable) {
    return () => {
      for (const endpoint of usable) if (!endpoint.ejected && endpoint.hasRoom()) return endpoint;
      return usable[0]!;
    };
  },
};
