// docs/config.md, made from the schema: every key with its type, default, meaning and example.
import type { z } from "zod";
import { configSchema } from "./schema/config.ts";
import { schemaAt, view, type SchemaView } from "./schema/walk.ts";

type Schema = z.core.$ZodType;

/** A chapter: keys from `path` down, as far as no other chapter begins. */
interface Chapter {
  readonly title: string;
  readonly path: readonly string[];
  /** How the place is written: "listeners.<name>". */
  readonly place: string;
}

const chapters: readonly Chapter[] = [
  { title: "Listeners", path: ["listeners", "*"], place: "listeners.<name>" },
  { title: "Routes", path: ["listeners", "*", "routes", "0"], place: "listeners.<name>.routes[]" },
  { title: "Pools", path: ["pools", "*"], place: "pools.<name>" },
  { title: "Admin", path: ["admin"], place: "admin" },
  { title: "Log", path: ["log"], place: "log" },
  { title: "Shutdown", path: ["shutdown"], place: "shutdown" },
];

const preface = `# Configuration

<!-- Made from packages/balancer/src/config/schema by packages/balancer/src/config/generate.ts; edit there. -->

\`plimsoll run\` reads \`plimsoll.yaml\`, or \`plimsoll.config.ts\`. \`plimsoll check\` says everything that is wrong with it at once, each with
its place. The smallest file that does something:

\`\`\`yaml
# yaml-language-server: $schema=./node_modules/@plimsoll/balancer/schema/plimsoll.schema.json
listeners:
  web:
    address: 127.0.0.1:8080
    routes: [{ pool: app }]
pools:
  app:
    endpoints: [127.0.0.1:3001, 127.0.0.1:3002]
\`\`\`

The first line gives editors completion and checks; the schema lies in \`packages/balancer/schema/plimsoll.schema.json\`.

## How values are written

- **Durations** have a unit: \`250ms\`, \`30s\`, \`1h30m\`, \`2d\`. **Sizes** too: \`512B\`, \`16KiB\` (16 x 1024), \`1MB\` (1000 x 1000). **Shares** are
  in percent: \`20%\`. A bare number is refused, because nobody agrees on its unit.
- \`\${NAME}\` takes a value from the environment and refuses the file if it is not set; \`\${NAME:-default}\` takes the default if it is
  unset or empty; \`$\${\` is a literal \`\${\`. It works in values, not in keys. Within \`{ }\` and \`[ ]\` YAML needs quotes around it. What
  comes out is read as what the key wants, quoted or not: \`workers: \${WORKERS:-2}\` is a number, \`secret: \${SECRET}\` a text. Values from
  the environment are never shown in messages.
- It is **YAML 1.2**: \`on\`, \`off\`, \`yes\` and \`no\` are texts, flags are \`true\` and \`false\`. A value that begins with \`*\`, such as \`"*.example.com"\`,
  needs quotes. Keys are unique. Anchors, aliases and merge keys (\`<<: *name\`; a map's own keys win) work; keys at the top that begin
  with \`x-\` are a place for them and otherwise ignored. Tags are refused.
- **Unknown keys are refused.** Some keys are known but *not available yet*: those without which the program would do something else than
  was asked are errors, the others are warnings and have no effect.
- Paths of files are relative to the configuration.

In TypeScript the keys are the same, and \`\${...}\` is left to the language:

\`\`\`ts
// plimsoll.config.ts
import { defineConfig } from "plimsoll/config";

export default defineConfig({
  listeners: { web: { address: "127.0.0.1:8080", routes: [{ pool: "app" }] } },
  pools: { app: { endpoints: ["127.0.0.1:3001", "127.0.0.1:3002"] } },
});
\`\`\`

\`defineConfig\` only gives editors the types: \`export default { ... }\` is the same. A function that returns a configuration, and a promise of
one, will do, too. The file is run by \`plimsoll check\` as well.
`;

/** Text of docs/config.md. */
export function renderConfigReference(): string {
  const parts = [preface, renderTop()];
  for (const chapter of chapters) {
    const schema = schemaAt(
      configSchema,
      chapter.path.map((part) => (part === "0" ? 0 : part)),
    );
    if (schema === undefined) throw new Error(`no schema at ${chapter.place}`);
    parts.push(renderChapter(chapter, schema));
  }
  return parts.join("\n");
}

function renderTop(): string {
  const { shape } = view(configSchema);
  if (shape.kind !== "map") throw new Error("the configuration is a map");
  const rows = Object.entries(shape.keys).map(([key, schema]) => renderRow(key, view(schema)));
  return `## At the top\n\n${tableHead}${rows.join("")}`;
}

const tableHead = "| key | value | default | meaning |\n|---|---|---|---|\n";

function renderChapter({ title, place }: Chapter, schema: Schema): string {
  const seen = view(schema);
  const rows = rowsOf("", seen);
  return `## ${title}\n\n\`${place}\`: ${seen.description}\n\n${tableHead}${rows.join("")}`;
}

/** Rows for the keys of a map and of the maps in it; lists of maps as `key[].inner`. */
function rowsOf(prefix: string, seen: SchemaView): string[] {
  const { shape } = seen;
  if (shape.kind !== "map") return [];
  return Object.entries(shape.keys).flatMap(([key, schema]) => {
    const inner = view(schema);
    const name = prefix + key;
    const row = renderRow(name, inner);
    if (chapters.some(({ path }) => path.length > 2 && path.at(-2) === name)) return [row];
    if (inner.shape.kind === "map") return [row, ...rowsOf(`${name}.`, inner)];
    if (inner.shape.kind === "list") return [row, ...rowsOf(`${name}[].`, view(inner.shape.item))];
    return [row];
  });
}

function renderRow(name: string, seen: SchemaView): string {
  const later = seen.notYet;
  let meaning = seen.description;
  if (later !== undefined) {
    const which =
      later.except === undefined ? "Not available yet" : `Only ${code(later.except.join(", "))} is available yet`;
    meaning += ` *${which} (${later.severity}): ${later.will}.*`;
  }
  const [example] = seen.examples;
  if (example !== undefined) meaning += ` Example: ${code(flow(example))}.`;
  const fallback = seen.required ? "required" : isPlain(seen.defaultInput) ? code(flow(seen.defaultInput)) : "";
  return `| \`${name}\` | ${valueOf(seen)} | ${fallback} | ${meaning.replaceAll("|", "\\|")} |\n`;
}

/** Defaults worth a cell: {} only says that the keys below have theirs. */
function isPlain(value: unknown): boolean {
  return (
    value !== undefined &&
    value !== "" &&
    !(typeof value === "object" && value !== null && Object.keys(value).length === 0 && !Array.isArray(value))
  );
}

function valueOf(seen: SchemaView): string {
  const short = shortOf(seen);
  return short === "" ? longOf(seen) : `${longOf(seen)}, or ${short}`;
}

function longOf({ shape, facts, single }: SchemaView): string {
  if (shape.kind === "map") return "map";
  if (shape.kind === "record") return `map of name to ${valueOf(view(shape.value))}`;
  if (shape.kind === "list") return `list of ${valueOf(view(shape.item))}${single ? ", or one" : ""}`;
  const bounds = /^write a ((?:whole )?number from [^,]*)/.exec(facts?.hint ?? "");
  if (bounds?.[1] !== undefined) return bounds[1];
  if (facts !== undefined)
    return facts.noun.startsWith("one of ")
      ? facts.noun.slice(7).split(", ").map(code).join(" ")
      : facts.noun.replace(/^(an?|the) /, "");
  const { def } = (shape.schema as z.core.$ZodTypes)._zod;
  if (def.type === "literal") return def.values.map((value) => code(String(value))).join(" ");
  return def.type === "string" ? "text" : def.type;
}

function shortOf({ short, shape }: SchemaView): string {
  if (short === undefined) return "";
  if ("json" in short) {
    const words: unknown = short.json["enum"];
    return Array.isArray(words) ? words.map(String).map(code).join(" ") : "";
  }
  const inner = shape.kind === "map" ? shape.keys[short.key] : undefined;
  return inner === undefined ? "" : `${longOf(view(inner))} alone`;
}

/** A value as a person would write it in a flow of YAML. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key}: ${flow(inner)}`)
      .join(", ")} }`;
  }
  if (typeof value !== "string") return String(value);
  return /^[\d.]+$|^[*~&!%@`{}[\]]|: |, | #|[{}]/.test(value) ? JSON.stringify(value) : value;
}

function code(text: string): string {
  return `\`${text}\``;
}
