// What this folder needs of the outside: a machine to run programs on, and somebody who steers traffic.
import type { Random } from "../../base/random.ts";

/** Which of its two outputs a line came from. */
export type Stream = "stdout" | "stderr";

/** How a process ended. */
export interface Exit {
  /** null when a signal ended it. */
  readonly code: number | null;
  /** "SIGKILL" and the like; "" when it exited by itself. */
  readonly signal: string;
}

/** A started program: a process group of its own, so that `npm start` and what it starts are one thing. */
export interface ProcessGroup {
  readonly pid: number;
  /** Signals every process of the group; does nothing when there is none left. */
  signal(name: "SIGTERM" | "SIGKILL"): void;
  /** Whether any process of the group is left: also one that outlived the program it came from. */
  alive(): boolean;
  /** TCP ports on which a process of the group listens; empty where that cannot be found out. */
  listening(): readonly number[];
}

export interface SpawnOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `bytes` is borrowed. Reading goes on when the promise, if any, is settled. */
  output(stream: Stream, bytes: Uint8Array): void | Promise<void>;
  /** Called once, as soon as the program itself has ended; output may still be on its way. */
  exited(exit: Exit): void;
  /** Called once, after `exited` and the last output (or shortly after `exited`, if something holds the output open). */
  outputEnded(): void;
}

/** What knocking at an instance's port found. */
export type Knock =
  | { readonly kind: "refused" }
  /** It accepts connections, but did not begin an HTTP answer in time. */
  | { readonly kind: "silent"; readonly host: string }
  | { readonly kind: "status"; readonly status: number; readonly host: string };

/** The machine, as far as this folder needs it. */
export interface Host {
  /** Monotonic milliseconds. */
  now(): number;
  readonly random: Random;
  /** Runs `then` once after `ms`; the returned function takes that back. */
  after(ms: number, then: () => void): () => void;
  /** A port that nobody uses now and that was not handed out lately; 0 when there is none. Never rejects. */
  freePort(): Promise<number>;
  /** Starts a program; a text says why it could not be started. */
  spawn(options: SpawnOptions): ProcessGroup | string;
  /** Asks `GET path` of 127.0.0.1, then ::1. Never rejects. */
  knock(port: number, path: string): Promise<Knock>;
}

/** An instance as the balancer sees it. */
export interface AppEndpoint {
  /** Unique over all runs: "app-1.3" is the third run of app-1. */
  readonly id: string;
  /** The same in all runs: "app-1". Sticky clients belong to it, not to a run. */
  readonly stableId: string;
  readonly host: string;
  readonly port: number;
}

/** Where traffic is steered. Neither may reject: what fails is the sink's to report. */
export interface EndpointsSink {
  /**
   * These and no others get traffic. Resolves when every worker does so: true when new ones are in rotation, false when
   * they could not be brought there in good time.
   */
  set(endpoints: readonly AppEndpoint[]): Promise<boolean>;
  /** No new exchange for this one. Resolves when nothing is in flight there, or the drain window is over. */
  drain(id: string): Promise<void>;
}

/** How it is found out whether an instance still lives. */
export interface LivenessPlan {
  readonly path: string;
  /** Ms from one question to the next. */
  readonly interval: number;
  /** Bad answers in a row after which it is restarted. */
  readonly fall: number;
}

/** What to run. */
export interface AppPlan {
  /** Instances are called name-1, name-2 ... */
  readonly name: string;
  readonly command: readonly string[];
  readonly instances: number;
  /** Answered 200 to 299 there means ready; null: any answer below 500 to GET / does. */
  readonly readyPath: string | null;
  /** How it is found out that an instance lives no more; null: only its end tells. */
  readonly liveness: LivenessPlan | null;
  /** Longest time from start to ready, in ms. */
  readonly readyTimeout: number;
  /** From SIGTERM to SIGKILL, in ms. */
  readonly grace: number;
  /** Added to the environment of each instance. */
  readonly env: Readonly<Record<string, string>>;
}
