// What the schema cannot see: whether the parts of a configuration fit together. One file for each kind of part, one
// line for each here.
import { checkAddresses } from "./meaning/addresses.ts";
import { checkDatagrams } from "./meaning/datagrams.ts";
import { checkHierarchy } from "./meaning/hierarchy.ts";
import { checkLayers } from "./meaning/layers.ts";
import { checkIssuing } from "./meaning/issuing.ts";
import type { Meant } from "./meaning/meant.ts";
import { checkPools } from "./meaning/pools.ts";
import { checkProxyProtocol } from "./meaning/proxy-protocol.ts";
import { checkReferences } from "./meaning/references.ts";
import { checkRetries } from "./meaning/retries.ts";
import { checkRoutes } from "./meaning/routes.ts";
import { checkTls } from "./meaning/tls.ts";
import { checkTies } from "./meaning/ties.ts";
import type { Finding } from "./problem.ts";

type Check = (meant: Meant) => Finding[];

const checks: readonly Check[] = [
  checkAddresses,
  checkIssuing,
  checkPools,
  checkProxyProtocol,
  checkDatagrams,
  checkRoutes,
  checkLayers,
  checkRetries,
  checkReferences,
  checkTies,
  checkTls,
  checkHierarchy,
];

export function checkMeaning(meant: Meant): Finding[] {
  return checks.flatMap((check) => check(meant));
}
