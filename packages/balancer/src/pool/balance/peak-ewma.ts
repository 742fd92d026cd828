// Two draws by weight; the one where an exchange is expected to be over sooner: its latency, times what is already in
// flight there. Latency is the peak-sensitive average that Endpoint keeps. What nobody has measured yet is taken to be
// like its peers: taken for fast it would be flooded, taken for slow it would never be tried.
import type { Endpoint } from "../endpoint.ts";
import type { Algorithm } from "./algorithm.ts";
import { colderOnes, warmOther } from "./warming.ts";
import { weightedDraw } from "./weighted-draw.ts";

/** How often the peers' mean is taken again, ms. */
const refreshEvery = 1_000;

export const peakEwma: Algorithm = {
  name: "peakEwma",
  how: "of two taken by chance, the one with the lower latency times load",
  needsKey: false,
  build(usable, random, { clock }) {
    const only = usable[0]!;
    if (usable.length === 1) return () => only;
    const draw = weightedDraw(usable, random);
    const colder = colderOnes(usable);
    const meanWeight = usable.reduce((sum, endpoint) => sum + endpoint.weight, 0) / usable.length;
    // In flight is taken per weight, latency is not: the draw already gives the heavier its share.
    const cost = (endpoint: Endpoint, now: number) =>
      endpoint.latency(now) * ((endpoint.inFlight() * meanWeight) / endpoint.weight + 1);
    let refreshAt = 0;
    return () => {
      const now = clock.now();
      if (now >= refreshAt) {
        refreshAt = now + refreshEvery;
        setPriors(usable);
      }
      const index = draw();
      const a = usable[index]!;
      const other = colder === null ? draw.other(index) : warmOther(draw, index, colder);
      if (other < 0) return a;
      const b = usable[other]!;
      return cost(b, now) < cost(a, now) ? b : a;
    };
  },
};

function setPriors(endpoints: readonly Endpoint[]): void {
  let sum = 0;
  let measured = 0;
  for (const endpoint of endpoints) {
    const latency = endpoint.measured();
    if (latency === 0) continue;
    sum += latency;
    measured++;
  }
  if (measured === 0) return;
  for (const endpoint of endpoints) endpoint.prior = sum / measured;
}
