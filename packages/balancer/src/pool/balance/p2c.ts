// Power of two choices: draw two by weight, take the one with less in flight per weight. Nearly as even as asking all of
// them, and a worker that knows old numbers does not send everything to the one that was idle a moment ago.
import type { Endpoint } from "../endpoint.ts";
import type { Algorithm } from "./algorithm.ts";
import { colderOnes, warmOther } from "./warming.ts";
import { weightedDraw } from "./weighted-draw.ts";

/**
 * Less in flight per weight, without dividing; `a` on a tie. Not in flight + 1: the draw already goes by weight, and counting
 * the coming exchange as well would give an idle pool's heaviest endpoint far more than its share (90 % for 3 of 5).
 */
function lighter(a: Endpoint, b: Endpoint): Endpoint {
  return b.inFlight() * a.weight < a.inFlight() * b.weight ? b : a;
}

export const p2c: Algorithm = {
  name: "p2c",
  how: "of two taken by chance, the one with fewer requests in flight",
  needsKey: false,
  build(usable, random) {
    const only = usable[0]!;
    if (usable.length === 1) return () => only;
    const draw = weightedDraw(usable, random);
    const colder = colderOnes(usable);
    if (colder !== null)
      return () => {
        const first = draw();
        const other = warmOther(draw, first, colder);
        return other < 0 ? usable[first]! : lighter(usable[first]!, usable[other]!);
      };
    return () => {
      const first = draw();
      return lighter(usable[first]!, usable[draw.other(first)]!);
    };
  },
};
