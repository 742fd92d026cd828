// `${NAME}`, `${NAME:-default}` and `$${` within values. Nothing else is expanded: no commands, no nesting.

/** The environment as the caller gives it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What became of one value. */
export interface Expansion {
  readonly text: string;
  /** What was put in, for keeping it out of messages. */
  readonly values: readonly string[];
  /** One per reference that could not be filled: its offset in the value, and why. */
  readonly faults: readonly { readonly at: number; readonly message: string; readonly hint: string }[];
  /** Whether any reference stood there at all, and not only escapes. */
  readonly referred: boolean;
}

const reference = /\$\$\{|\$\{([^{}]*)\}|\$\{/g;

/** Expands one value. `${NAME:-x}` takes x when NAME is unset or empty, as in a shell. */
export function expand(text: string, environment: Environment): Expansion {
  const values: string[] = [];
  const faults: { at: number; message: string; hint: string }[] = [];
  let referred = false;
  const expanded = text.replace(reference, (whole: string, inside: string | undefined, at: number) => {
    if (whole === "$${") return "${";
    referred = true;
    const [, name, fallback] = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inside ?? "") ?? [];
    if (name === undefined) {
      const message =
        inside === undefined ? "`${` is never closed" : `"${whole}" is not a reference to the environment`;
      faults.push({ at, message, hint: "write ${NAME} or ${NAME:-default}; a literal ${ is written $${" });
      return "";
    }
    const given: unknown = environment[name];
    // An environment that is a plain object has `constructor` and the like.
    const value = typeof given === "string" ? given : undefined;
    if (fallback !== undefined) {
      if (value === undefined || value === "") return fallback;
    } else if (value === undefined) {
      faults.push({
        at,
        message: `the environment variable ${name} is not set`,
        hint: `set ${name}, or give a default: \${${name}:-value}`,
      });
      return "";
    }
    values.push(value);
    return value;
  });
  return { text: expanded, values, faults, referred };
}
