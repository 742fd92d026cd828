// Round robin in turns as even as weights allow. Where to start is drawn, because N workers (and every reload) would
// otherwise all begin with the first endpoint.
import type { Algorithm } from "./algorithm.ts";
import { turns } from "./turns.ts";

export const roundRobin: Algorithm = {
  name: "roundRobin",
  how: "each in turn, by weight",
  needsKey: false,
  build(usable, random) {
    const { weight } = usable[0]!;
    if (usable.some((endpoint) => endpoint.weight !== weight)) {
      // A phase for each: a common one would bring all of them up together, and the light ones in a bunch.
      const next = turns(usable, random);
      return () => usable[next()]!;
    }
    let at = Math.floor(random() * usable.length);
    return () => {
      const endpoint = usable[at]!;
      at = at + 1 === usable.length ? 0 : at + 1;
      return endpoint;
    };
  },
};
