import { load, scenario } from "./scenario.ts";

export const answers1m = scenario({
  name: "answers-1m",
  title: "Answers of 1 MB",
  text: "What it costs to move bytes.",
  load: () => load({ paths: ["/1m"], connections: 32 }),
});
