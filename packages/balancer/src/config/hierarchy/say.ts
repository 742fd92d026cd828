// Mends in words, and as they would be written.
import { formatDuration } from "../../base/units.ts";
import { formatPath } from "../problem.ts";
import type { Change, Mend, Violation } from "./judge.ts";
import type { SettingName } from "./settings.ts";

/** One value as it is written in a configuration. */
export interface WrittenChange {
  /** "pools.api.timeouts.firstByte" */
  readonly path: string;
  /** "26s", or "1" for a count. */
  readonly value: string;
}

export function writtenMends(mends: readonly Mend[]): WrittenChange[][] {
  return mends.map((mend) => mend.map((change) => ({ path: formatPath(change.path), value: valueText(change) })));
}

function valueText({ setting, value }: Change): string {
  if (setting === "attempts") return String(value);
  // Nobody writes 1s900ms.
  return value > 1000 && value < 10_000 && value % 1000 > 0 ? `${value / 1000}s` : formatDuration(value);
}

/** What else a change means: a declared rung is not set here, so it has to be said who must do it. */
const elsewhere: Readonly<Partial<Record<SettingName, readonly [longer: string, shorter: string]>>> = {
  // It is the only limit that bodies have.
  total: ["", "downloads may be cut then, too"],
  client: ["clients can wait longer", "clients can wait less"],
  app: ["the application may work longer", "the application gives up sooner"],
  downstream: ["the application waits longer for what it calls", "the application waits less for what it calls"],
  keepAlive: ["the application keeps connections longer", "the application keeps connections less long"],
  stopGrace: ["instances get longer to stop", "instances get less time to stop"],
  ownGrace: ["this program gets longer to stop", "this program gets less time to stop"],
};

/** "write pools.api.timeouts.firstByte: 26s; or, if clients can wait longer, pools.api.declared.client: 2m7s". */
export function sayMends({ values }: Violation, mends: readonly Mend[]): string {
  const said = mends.map((mend) => {
    const conditions = mend.flatMap(({ setting, value }) => {
      const limits = setting === "total" && values.total === 0;
      return elsewhere[setting]?.[value > values[setting] && !limits ? 0 : 1] || [];
    });
    const changes = listed(mend.map((change) => `${formatPath(change.path)}: ${valueText(change)}`));
    return { condition: conditions.length === 0 ? "" : `if ${listed([...new Set(conditions)])}`, changes };
  });
  return said
    .map(({ condition, changes }, index) => {
      const when = condition === "" ? "" : `${condition}, `;
      return index === 0 ? `${when}write ${changes}` : `or${condition === "" ? " " : `, ${when}`}${changes}`;
    })
    .join("; ");
}

/** "a", "a and b", "a, b and c". */
function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
