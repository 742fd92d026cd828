import { load, scenario } from "./scenario.ts";

export const uploads = scenario({
  name: "uploads",
  title: "Uploads of 64 KB",
  text: "Bodies from the client to the endpoint, streamed.",
  load: () => load({ paths: ["/upload"], bodyBytes: 65_536 }),
});
