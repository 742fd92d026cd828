// Whether every timeout outlasts the ones below it. The proof is in hierarchy/; here it becomes a message at its place.
import { hierarchyOf, mendsOf, worstOf, type Violation } from "../hierarchy/judge.ts";
import { sayMends, writtenMends } from "../hierarchy/say.ts";
import { waysOf } from "../hierarchy/ways.ts";
import { settingNames } from "../hierarchy/settings.ts";
import type { Meant } from "./meant.ts";
import { formatPath, type Finding, type Path } from "../problem.ts";

/** Violations for which better values are sought: whoever has more will not read them all. */
const mostMended = 100;

export function checkHierarchy({ plan, isWritten, original }: Meant): Finding[] {
  const ways = waysOf({ ...plan, pools: plan.pools.map(({ pool }) => pool) });
  const hierarchy = hierarchyOf(ways);
  return worstOf(hierarchy.violations).map((violation, index): Finding => {
    const { way, rule, severity } = violation;
    const found = index < mostMended ? mendsOf(violation, hierarchy) : [];
    const mends = found.map((mend) => mend.map((change) => ({ ...change, path: original(change.path) })));
    const { path, pointed } = placeOf(violation, isWritten);
    // A split leads to several pools, each with windows of its own.
    const split = ways.some((other) => other !== way && formatPath(other.path) === formatPath(way.path));
    const names = [...(pointed ? [] : [formatPath(original(way.path))]), ...(split ? [`pool ${way.pool}`] : [])];
    const where = names.length === 0 ? "" : ` (${names.join(", ")})`;
    return {
      severity,
      path,
      message: `${rule.say(violation.values)}${where}`,
      why: rule.why,
      hint: mends.length === 0 ? undefined : sayMends(violation, mends),
      mends: writtenMends(mends),
      depends: settingNames.flatMap((name) => way.settings[name].map((place) => place.path)),
    };
  });
}

/** The first of the rule's settings that somebody wrote; whether the reader can tell from it which way is meant. */
function placeOf({ way, rule }: Violation, isWritten: (path: Path) => boolean): { path: Path; pointed: boolean } {
  const places = rule.at.flatMap((name) => way.settings[name]).map(({ path }) => path);
  const path = places.find(isWritten) ?? way.path;
  return { path, pointed: way.path.every((part, index) => path[index] === part) || way.path[0] === "pools" };
}
