// The order of a rolling replacement: one instance at a time, the new one ready before the old one leaves.

/** One instance as the plan sees it. */
export interface Place {
  readonly name: string;
  /** The run that serves now, if any: from before the roll began or from after. */
  readonly serving: "old" | "new" | "none";
  /** What became of the replacement: not begun, ready to take over, or not to be had. */
  readonly replacement: "none" | "ready" | "failed";
}

/** What to do next. */
export type RollStep =
  | { readonly kind: "start"; readonly name: string }
  /** Put the replacement into rotation, then drain and stop the old run. */
  | { readonly kind: "swap"; readonly name: string }
  | { readonly kind: "done" }
  /** The new version does not come up: all that still run stay as they are. */
  | { readonly kind: "abort"; readonly name: string };

/** The next step. Places are worked off in order, and those with nobody serving first: they can only win. */
export function nextRollStep(places: readonly Place[]): RollStep {
  for (const place of places) if (place.replacement === "failed") return { kind: "abort", name: place.name };
  for (const place of places) if (place.replacement === "ready") return { kind: "swap", name: place.name };
  const next = places.find((place) => place.serving === "none") ?? places.find((place) => place.serving === "old");
  return next === undefined ? { kind: "done" } : { kind: "start", name: next.name };
}
