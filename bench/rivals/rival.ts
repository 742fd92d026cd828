// What a rival is. All of them do the same work; see caddy.ts, the first file here, for what that is.
import type { Program } from "@plimsoll/testbed/processes";
import type { Layer } from "../scenarios/scenario.ts";

/** What a rival is asked to be. */
export interface Setting {
  /** Port of its listener on 127.0.0.1. */
  readonly port: number;
  /** A second port for those that have an admin listener. */
  readonly adminPort: number;
  /** Endpoints as "127.0.0.1:3001". */
  readonly endpoints: readonly string[];
  /** 0: everything goes to the endpoints. Else so many routes, "/r0/*" and on, and nothing beside them. */
  readonly routes: number;
  /** A folder for configuration and temporary files. */
  readonly folder: string;
  /** What the listener does: reads requests, or passes bytes on. */
  readonly layer: Layer;
  /** Clients upgrade to WebSockets, for those that must be told. */
  readonly tunnels: boolean;
  /** Endpoints are sent a PROXY header of version 1. */
  readonly proxyProtocol: boolean;
  /** Connections that it must be able to hold at a time. */
  readonly connections: number;
}

/** How to start a rival once its files are written. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A rival that is on this machine. */
export interface Rival {
  readonly name: string;
  readonly version: string;
  /** It cannot pass TCP on, as it is installed here. */
  readonly httpOnly?: boolean;
  /** It passes datagrams on. */
  readonly datagrams?: boolean;
  /** Writes what it needs into the folder and says how to start it. */
  prepare(setting: Setting): Promise<Command>;
}

/** A rival that may be on this machine. */
export interface RivalKind {
  readonly name: string;
  /** How to get it, for those who lack it. */
  readonly get: string;
  /** The rival, or undefined when it is not installed. */
  find(): Promise<Rival | undefined>;
}

/** A rival at work. */
export interface RunningRival {
  readonly rival: Rival;
  readonly program: Program;
  readonly setting: Setting;
}

/** First line that a program says of itself, or undefined when there is no such program. */
export async function versionLine(argv: readonly string[]): Promise<string | undefined> {
  const [name = ""] = argv;
  if (!Bun.which(name)) return undefined;
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return (out.trim() || err.trim()).split("\n")[0];
}

/** Names of the routes of a setting. */
export function routeNames(setting: Setting): readonly string[] {
  return Array.from({ length: setting.routes }, (_, at) => `/r${at}`);
}

/** Files of the certificate that all show, in the folder: chain, key, and both in one. */
export function certificateFiles(folder: string): {
  readonly cert: string;
  readonly key: string;
  readonly both: string;
} {
  return { cert: `${folder}/bench.crt`, key: `${folder}/bench.key`, both: `${folder}/bench.pem` };
}
