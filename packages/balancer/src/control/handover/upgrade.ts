// An upgrade as the supervisor of the old program sees it: at most one at a time, alone among the changes, and refused with a
// reason where it cannot be.
import type { Timers } from "../../net/clock.ts";
import type { Log } from "../../observe/log.ts";
import type { RuntimeDirectory, UpgradeOrder } from "../runtime-directory.ts";
import type { InheritedSocket, ListeningSockets } from "../sockets.ts";
import type { AdminDoor } from "../admin-door.ts";
import type { Carried, ToSuccessor } from "./messages.ts";
import { Succession, type Successor } from "./successor.ts";

/** How this program is started again, or a sentence that says why it is not. */
export type StartAgain =
  /** Program and arguments; `binary` replaces the program, null leaves it. */
  { readonly command: (binary: string | null) => readonly string[] } | { readonly refusal: string };

export type UpgradeResult =
  /** It serves. We finish what is in flight, and go. */
  | { readonly ok: true; readonly pid: number; readonly version: string; readonly replaced: number }
  /** `refused`: it was not even tried. Nothing has changed. */
  | { readonly ok: false; readonly refused: boolean; readonly problem: string };

export interface UpgradesNeeds {
  readonly again: StartAgain;
  readonly version: string;
  readonly directory: RuntimeDirectory;
  readonly sockets: ListeningSockets;
  readonly admin: AdminDoor;
  readonly timers: Timers;
  readonly log: Log;
  gather(): Carried;
  /** Does something while no other change is made; false when the program stops. */
  alone(work: () => Promise<void>): Promise<boolean>;
  /** Whether this program was told to stop. */
  stopping(): boolean;
  /** The other one serves. */
  yieldTo(successor: Successor): void;
}

/** Ms that a new program may take until it serves, where nobody says otherwise. */
const patience = 60_000;

export class Upgrades {
  readonly #needs: UpgradesNeeds;
  #underWay = false;
  #succession: Succession | null = null;

  constructor(needs: UpgradesNeeds) {
    this.#needs = needs;
  }

  /** Starts the new program and gives it everything, or says why not. */
  async run(why: string): Promise<UpgradeResult> {
    // First: an order that was left for an upgrade which is refused must not count for a later one.
    const order = this.#needs.directory.takeOrder();
    const refusal = this.#refusal();
    if (refusal !== "") {
      this.#needs.log.event("warn", "upgrade.refused", refusal);
      return { ok: false, refused: true, problem: refusal };
    }
    const { alone, log, version } = this.#needs;
    this.#underWay = true;
    let result: UpgradeResult = { ok: false, refused: true, problem: "the program is stopping" };
    try {
      await alone(async () => {
        result = await this.#attempt(why, order);
      });
    } finally {
      this.#underWay = false;
    }
    const told = result as UpgradeResult;
    if (!told.ok) {
      log.event("error", "upgrade.failed", `nothing has changed, ${version} goes on: ${told.problem}`);
    }
    return told;
  }

  /** What an operator asked of us counts for the other one, too. */
  tell(asked: Omit<ToSuccessor & { kind: "asked" }, "kind">): void {
    this.#succession?.tell({ kind: "asked", ...asked });
  }

  /** This program ends: whoever was to take over does not. */
  giveUp(): void {
    this.#succession?.giveUp("was ended, because this one was told to stop");
  }

  #refusal(): string {
    const { again } = this.#needs;
    if ("refusal" in again) return again.refusal;
    if (this.#needs.stopping()) return "the program is stopping";
    if (this.#underWay) return "an upgrade is under way";
    if (process.pid === 1)
      return "this program is process 1 of its container, which ends with it; start a container of the new version instead";
    return "";
  }

  async #attempt(why: string, order: UpgradeOrder | null): Promise<UpgradeResult> {
    const { again, directory, sockets, admin, timers, log, version } = this.#needs;
    if ("refusal" in again) return { ok: false, refused: true, problem: again.refusal };
    const command = again.command(order?.binary ?? null);
    log.event("info", "upgrade.begun", `${why}: starting ${command.join(" ")}`);
    const succession = new Succession({
      command,
      version,
      folder: directory.path,
      sockets: handedOver(sockets),
      admin: admin.carried,
      carried: () => this.#needs.gather(),
      timers,
      patience: order?.patience ?? patience,
    });
    this.#succession = succession;
    const decided = await succession.decided;
    this.#succession = null;
    if ("problem" in decided) return { ok: false, refused: false, problem: decided.problem };
    this.#needs.yieldTo(decided);
    return { ok: true, pid: decided.pid, version: decided.version, replaced: process.pid };
  }
}

function handedOver(sockets: ListeningSockets): InheritedSocket[] {
  return sockets.all.flatMap(({ key, listener, host, port, fds, shared, named }) =>
    fds.map((fd) => ({ listener, host, asked: named ? -1 : askedPort(key), port, shared, fd })),
  );
}

/** The port as the configuration says it: 0 for any. */
function askedPort(key: string): number {
  const [, , port] = JSON.parse(key) as [string, string, number];
  return port;
}
