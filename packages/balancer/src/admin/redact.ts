// The running plan as it may be shown: values that may be secrets are left out. Names, addresses and numbers stay.
import type { EnginePlan } from "../proxy/assemble.ts";

const hidden = "(not shown)";
const secretName = /authorization|cookie|token|secret|password|credential|api-?key|signature/i;
/** Longest text of our own answers that is shown. */
const longestBody = 200;

/** A copy of the plan for GET /config. */
export function redactedPlan(plan: EnginePlan): unknown {
  return JSON.parse(JSON.stringify(plan), (key, value: unknown) => {
    if (key === "body" && typeof value === "string" && value.length > longestBody) {
      return `${value.slice(0, longestBody)}... (${value.length} characters)`;
    }
    // PEM: keys are nobody's business, certificates fill the page.
    if (typeof value === "string" && value.includes("-----BEGIN ")) {
      return value.includes("PRIVATE KEY") ? hidden : `PEM (${value.length} characters)`;
    }
    if (key === "password" && typeof value === "string" && value !== "") return hidden;
    // What a scripted probe sends may be a login.
    if (key === "hex" && typeof value === "string") return hidden;
    if (key === "secrets" && Array.isArray(value)) return value.map(() => hidden);
    // Header edits, probe headers and matches are lists of [name, value].
    if (Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && secretName.test(value[0])) {
      return typeof value[1] === "number" ? value : [value[0], hidden];
    }
    return value;
  }) as unknown;
}
