// control/: one supervisor and its workers: who runs, what they are told, how a change reaches all of them or none. It
// must not know how a request is carried (proxy/) beyond the engine's few calls, nor who serves the admin page.
//
// This file: the admin address, as a part of the plan that may change while the program runs. Who serves it is brought in from
// outside: admin/ stands above control/.
import type { Plan } from "../config/plan.ts";
import { after } from "../net/clock.ts";
import type { CarriedAdmin } from "./handover/messages.ts";
import { hostPort } from "./status.ts";

/** Ms for the answers that are under way when the program ends. */
const closing = 200;

type AdminAddress = NonNullable<Plan["admin"]>;

/** An open admin address. */
export interface AdminListener {
  readonly port: number;
  /** Accepts nothing more; requests under way are answered. */
  retire(): void;
  /** `atOnce` cuts requests under way; otherwise they are answered first. */
  close(atOnce: boolean): Promise<void>;
}

/**
 * Opens the admin API at an address. `beside`: the program that this one takes over from has it open too. Throws an Error
 * with a message for people.
 */
export type OpenAdmin = (address: AdminAddress, beside: boolean) => AdminListener;

/** A change that was tried: `done` closes the old address, `undo` the new one. */
export interface AdminChange {
  done(): void;
  undo(): Promise<void>;
}

/** At most one open admin address. */
export class AdminDoor {
  readonly #open: OpenAdmin | null;
  #address: AdminAddress | null = null;
  #listener: AdminListener | null = null;
  #inherited: CarriedAdmin | null;

  constructor(open: OpenAdmin | null, inherited: CarriedAdmin | null = null) {
    this.#open = open;
    this.#inherited = inherited;
  }

  /** As it was asked for and as it is, for whoever takes over; null while nothing is open. */
  get carried(): CarriedAdmin | null {
    if (this.#listener === null || this.#address === null) return null;
    return { host: this.#address.host, asked: this.#address.port, port: this.#listener.port };
  }

  /** Base address; "" while nothing is open. */
  get url(): string {
    if (this.#listener === null || this.#address === null) return "";
    return `http://${hostPort(this.#address.host, this.#listener.port)}`;
  }

  /** Opens `address` beside the one that is open. */
  change(address: AdminAddress | null): AdminChange | { readonly problem: string } {
    const nothing = { done: () => {}, undo: () => Promise.resolve() };
    const [oldAddress, old] = [this.#address, this.#listener];
    if (this.#open === null) return nothing;
    if (address?.host === oldAddress?.host && address?.port === oldAddress?.port) return nothing;
    let fresh: AdminListener | null = null;
    try {
      if (address !== null) fresh = this.#openAt(address);
    } catch (error) {
      return { problem: `admin: ${(error as Error).message}` };
    }
    [this.#address, this.#listener] = [address, fresh];
    return {
      // Not waited for: the request that asked for the change may be one that is still to be answered.
      done: () => void old?.close(false),
      undo: async () => {
        [this.#address, this.#listener] = [oldAddress, old];
        await fresh?.close(true);
      },
    };
  }

  /** Another program answers there from now on. */
  retire(): void {
    this.#listener?.retire();
  }

  #openAt(address: AdminAddress): AdminListener | null {
    const was = this.#inherited;
    this.#inherited = null;
    if (was === null || was.host !== address.host || was.asked !== address.port)
      return this.#open?.(address, false) ?? null;
    return this.#open?.({ host: was.host, port: was.port }, true) ?? null;
  }

  /** What is being answered still is, for a moment. */
  async close(): Promise<void> {
    const late = new Promise<void>((resolve) => void after(closing, resolve));
    await Promise.race([this.#listener?.close(false), late]);
    await this.#listener?.close(true);
    this.#listener = null;
  }
}
