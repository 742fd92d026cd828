// The name in front of each line of an instance's output.

/** Foreground colours that can be told apart on light and dark ground, none of them red: red means trouble. */
const colours = [36, 33, 35, 32, 34, 96, 93, 95, 92, 94] as const;

/** Makes the bytes printed in front of a line. `width` lines the bars up; `index` chooses the colour. */
export function linePrefix(name: string, width: number, index: number, colour: boolean): Uint8Array {
  const text = `${name.padEnd(width)} | `;
  const shown = colour ? `\u001b[${colours[index % colours.length]}m${text}\u001b[0m` : text;
  return new TextEncoder().encode(shown);
}

const escape = 27;
const reset = new TextEncoder().encode("\u001b[0m");

/** Prefix, line and newline in one piece of memory of its own. A line that set a colour is followed by a reset. */
export function prefixedLine(prefix: Uint8Array, line: Uint8Array, colour: boolean): Uint8Array {
  const closes = colour && line.includes(escape);
  const whole = new Uint8Array(prefix.length + line.length + (closes ? reset.length : 0) + 1);
  whole.set(prefix);
  whole.set(line, prefix.length);
  if (closes) whole.set(reset, prefix.length + line.length);
  whole[whole.length - 1] = 10;
  return whole;
}
