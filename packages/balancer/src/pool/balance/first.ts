// The first one in the configuration's order that has room: fills one endpoint before it wakes the next. Without
// `limits.inFlight` it is a plain order of preference. Weights have no say, but one that warms up is passed over for the part
// of its work that it cannot have yet.
import type { Algorithm } from "./algorithm.ts";

export const first: Algorithm = {
  name: "first",
  how: "the first that has room",
  needsKey: false,
  build(usable, random) {
    return () => {
      let cold = null;
      for (const endpoint of usable) {
        if (endpoint.ejected || !endpoint.hasRoom()) continue;
        if (endpoint.share === 1 || random() < endpoint.share) return endpoint;
        cold ??= endpoint;
      }
      return cold ?? usable[0]!;
    };
  },
};
