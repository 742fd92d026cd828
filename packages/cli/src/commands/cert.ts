// commands/: one file per command: its help, its options, and a `run` that calls what does the work.
// It must not know how arguments are parsed (program.ts), and imports what is heavy inside `run`: `version` must start at once.

// This file: `plimsoll cert dev`
import { exitCode, UsageError, type CommandSpec, type Io } from "../spec.ts";
import type { DevelopmentCertificate } from "../cert/development.ts";

interface Options {
  readonly out: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export const cert: CommandSpec<Options> = {
  name: "cert",
  summary: "make a certificate for development",
  about:
    "Makes a certificate for names that exist on this machine or network only (localhost and what ends in .localhost, .test, .internal, .home.arpa, .local, .example; private addresses), valid for 90 days. It is issued by an authority of your own, made at the first call and kept in your data folder, which cannot issue for any other name. Browsers and programs accept it once they trust that authority: what is printed says how.",
  args: [
    { name: "<kind>", about: "dev: for development", complete: ["dev"] },
    { name: "<name...>", about: "host names and IP addresses; *.shop.localhost is every name one level below" },
  ],
  options: [
    { flags: "-o, --out <folder>", about: "folder for the two files", complete: "file", fallback: "." },
    { flags: "--force", about: "replace files that are there" },
    { flags: "--json", about: "print JSON" },
  ],
  examples: [
    ["plimsoll cert dev shop.localhost", "shop.localhost.crt and shop.localhost.key, here"],
    ["plimsoll cert dev localhost 127.0.0.1 ::1 --out tls", "one for every way to write this machine"],
  ],
  async run({ options, args, io }) {
    const [kind, ...written] = args;
    if (kind !== "dev") {
      throw new UsageError(`There is no certificate of the kind "${kind}"; write plimsoll cert dev <name>.`);
    }
    const { developmentName } = await import("../cert/names.ts");
    const { makeDevelopmentCertificate } = await import("../cert/development.ts");
    const names = [...new Set(written.map(developmentName))];
    const { out, force = false } = options;
    const made = await makeDevelopmentCertificate({ names, out, force, cwd: io.cwd, env: io.env, now: Date.now() });
    if (options.json === true) io.out(`${JSON.stringify(await asFacts(made))}\n`);
    else await explain(io, made);
    return exitCode.ok;
  },
};

async function asFacts({ cert: file, key, facts, authority }: DevelopmentCertificate): Promise<object> {
  const { trustAdvice, yamlLines } = await import("../cert/advice.ts");
  return {
    cert: file,
    key,
    names: facts.names,
    expires: new Date(facts.notAfter).toISOString(),
    fingerprint: facts.fingerprint,
    authority: {
      cert: authority.file,
      fresh: authority.fresh,
      fingerprint: authority.facts.fingerprint,
      expires: new Date(authority.facts.notAfter).toISOString(),
    },
    yaml: yamlLines(file, key),
    trust: trustAdvice(authority.file, process.platform),
  };
}

async function explain(io: Io, { cert: file, key, facts, authority }: DevelopmentCertificate): Promise<void> {
  const { trustAdvice, yamlLines } = await import("../cert/advice.ts");
  const until = new Date(facts.notAfter).toISOString().slice(0, 10);
  io.out(`${file} and ${key}: for ${facts.names.join(", ")}, until ${until}.\n`);
  io.out(`\nIn plimsoll.yaml:\n\n${yamlLines(file, key).replaceAll(/^/gm, "  ")}\n`);
  const state = authority.fresh
    ? "It was made just now, so nobody trusts it yet"
    : "Whoever trusts it already accepts this certificate, too";
  io.out(`\nThe authority that issued it is ${authority.file}.\n${state}:\n\n`);
  const advice = trustAdvice(authority.file, process.platform);
  const width = Math.max(...advice.map(({ who }) => who.length));
  for (const { who, how } of advice) {
    for (const [index, line] of how.entries()) io.out(`  ${(index === 0 ? who : "").padEnd(width)}   ${line}\n`);
  }
  if (facts.names.some((name) => name.endsWith(".local") || /\.(test|internal|example|home\.arpa)$/.test(name))) {
    io.out("\nNames that do not end in .localhost need an entry in /etc/hosts or in your network's DNS.\n");
  }
}
