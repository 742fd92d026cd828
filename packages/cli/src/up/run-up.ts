// `up` and `demo`: the balancer in front, the instances behind, and the order in which both start and stop.
import { randomBytes } from "node:crypto";
import type { AppPlan } from "@plimsoll/balancer/src/control/app/host.ts";
import { AppManager } from "@plimsoll/balancer/src/control/app/manager.ts";
import { planForUp, upPool } from "@plimsoll/balancer/src/config/up.ts";
import type { Plan } from "@plimsoll/balancer/src/config/plan.ts";
import type { Io } from "../spec.ts";
import { startBalancer } from "../start-balancer.ts";
import { showHostPort, type HostPort } from "../values.ts";
import { openMachine } from "./machine.ts";
import { portIsFree } from "./ports.ts";
import { trafficSink } from "./sink.ts";
import { openVoices } from "./voices.ts";

export interface UpRequest {
  readonly name: string;
  readonly command: readonly string[];
  readonly instances: number;
  readonly listen: HostPort;
  /** null: none; undefined: the default, or any free port of this machine if that is taken. */
  readonly admin: HostPort | null | undefined;
  readonly readyPath: string | null;
  readonly liveness: AppPlan["liveness"];
  /** Whether clients are kept at their instance. */
  readonly sticky: boolean;
  /** Times in ms. */
  readonly readyTimeout: number;
  readonly drain: number;
  readonly grace: number;
  /** 0: as many as cores. */
  readonly workers: number;
  readonly env: Readonly<Record<string, string>>;
}

/** What runs, for whoever greets the user. */
export interface UpFacts {
  readonly url: string;
  readonly admin: string;
  readonly instances: AppManager["instances"];
}

/** How it ended: as asked; as asked, but with something cut off at the end of its time; or without ever having run. */
export type UpEnd = "in-order" | "cut" | "not-started";

const defaultAdmin: HostPort = { host: "127.0.0.1", port: 9090 };
/** A second signal within this time is the first one, come by two ways (terminal and launcher). In ms. */
const sameSignal = 500;

/** Runs until it is told to stop. `greet` gives the text printed when all instances are ready. Resolves when nothing is left. */
export async function runUp(io: Io, request: UpRequest, greet: (facts: UpFacts) => string): Promise<UpEnd> {
  const voices = openVoices(request.name, request.instances, io.colour);
  let roll = (): void => {};
  const plan = planOf(request);
  const supervisor = await startBalancer({
    plan,
    log: voices.log,
    // There is no file to read again; SIGHUP replaces the instances, and POST /reload finds nothing changed.
    reloadPlan: () => Promise.resolve({ plan }),
    onHangup: () => roll(),
    again: {
      refusal:
        "it was started by `plimsoll up`, and the application's instances are children of it that would end with it; " +
        "restart it, or run the application by itself and `plimsoll run` in front of it",
    },
  });
  const machine = openMachine(io.cwd, io.env, request.grace);
  const sink = trafficSink(supervisor, upPool, request.drain, (text) => {
    // While everything stops, nothing of this is news.
    if (supervisor.readiness !== "stopping") voices.say(text, "warn");
  });
  const manager = new AppManager(request, machine, sink, voices.app);
  let hurried = false;
  const stopHurrying = hurryOnSecondSignal(() => {
    hurried = true;
    manager.kill();
  });
  let rolledAt = Number.NEGATIVE_INFINITY;
  roll = () => {
    const now = performance.now();
    if (now - rolledAt < sameSignal) return;
    rolledAt = now;
    void manager.roll();
  };
  const [listener] = supervisor.status().listeners;
  const url = `http://${showHostPort(listener ?? request.listen)}`;
  voices.say(`listening on ${url}${supervisor.adminUrl === "" ? "" : `, admin on ${supervisor.adminUrl}`}`);
  const failure = manager.start().then((why) => {
    if (why === "") voices.announce(greet({ url, admin: supervisor.adminUrl, instances: () => manager.instances() }));
    return why === "" || why === "stopped" ? supervisor.stopped.then(() => "") : why;
  });
  const why = await Promise.race([failure, supervisor.stopped.then(() => "")]);
  if (why !== "") voices.say(`no instance of \`${request.command.join(" ")}\` has come up: ${why}`, "error");
  const code = await supervisor.stop("the application does not start");
  await manager.stop();
  await machine.endEscaped(
    () => hurried,
    (found) => {
      const which = found.map(({ pid, name }) => `${name} (process ${pid})`).join(", ");
      voices.say(`what instances have started beside themselves ends, too: ${which}`, "warn");
    },
  );
  machine.close();
  stopHurrying();
  if (why === "") voices.say("all instances have ended");
  await voices.flushed();
  if (why !== "") return "not-started";
  return code === 0 ? "in-order" : "cut";
}

function planOf(request: UpRequest): Plan {
  const { listen, admin, readyPath, sticky, workers, drain } = request;
  return planForUp({
    host: listen.host,
    port: listen.port,
    endpoints: [],
    admin: admin === undefined ? (portIsFree(defaultAdmin) ? defaultAdmin : { ...defaultAdmin, port: 0 }) : admin,
    workers,
    drain,
    ...(readyPath === null ? {} : { readyPath }),
    // No instance outlives this program, nor does anything that a client could come back to.
    ...(sticky ? { stickySecret: randomBytes(32).toString("base64") } : {}),
  });
}

/** The supervisor hears the first signal; while instances are given their grace afterwards, a second one ends them. */
function hurryOnSecondSignal(kill: () => void): () => void {
  let first = -1;
  const hear = (): void => {
    const now = performance.now();
    if (first < 0) first = now;
    else if (now - first > sameSignal) kill();
  };
  process.on("SIGINT", hear);
  process.on("SIGTERM", hear);
  return () => {
    process.off("SIGINT", hear);
    process.off("SIGTERM", hear);
  };
}
