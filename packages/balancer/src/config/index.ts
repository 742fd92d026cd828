// config/: from the text that a person wrote to a complete and validated Plan, or to every reason why not, each with its
// place. It must not know sockets, processes or a running pool: nothing here is on the path of a request.
// This file is the door for other packages; files of this package import from where things are.
export { defineConfig } from "./define.ts";
export { disk } from "./disk.ts";
export { loadConfig, type ConfigText, type FileReader, type Loaded } from "./load.ts";
export { loadObject } from "./module.ts";
export type { Plan } from "./plan.ts";
export { renderProblems, type Problem } from "./problem.ts";
export type { ConfigInput } from "./schema/config.ts";
export { planForUp, upPool, type UpEndpoint, type UpOptions } from "./up.ts";
