// What is measured. Each scenario is one file of data: how the balancer is set and what load it gets.
// Scenarios must not know the rivals or how anything is run.
import { load, scenario } from "./scenario.ts";

export const answers16k = scenario({
  name: "answers-16k",
  title: "Answers of 16 KB",
  text: "A page or a picture for each request.",
  load: () => load({ paths: ["/16k"] }),
});
