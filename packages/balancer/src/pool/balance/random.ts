// By chance and weight alone. It keeps no count of anything, so it is the yardstick for the others.
import type { Algorithm } from "./algorithm.ts";
import { weightedDraw } from "./weighted-draw.ts";

export const random: Algorithm = {
  name: "random",
  how: "by chance, by weight",
  needsKey: false,
  build(usable, chance) {
    const draw = weightedDraw(usable, chance);
    return () => usable[draw()]!;
  },
};
