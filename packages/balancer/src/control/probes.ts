import type { EnginePlan } from "../proxy/assemble.ts";
import type { EndpointStates } from "./endpoint-states.ts";
import type { Log } from "../observe/log.ts";
export class Probes {
  constructor(_s: EndpointStates, _l: Log) {}
  apply(_p: EnginePlan) {}
  firstRound(_p: number) {
    return Promise.resolve();
  }
  stop() {}
}
