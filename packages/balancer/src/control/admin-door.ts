// control/: one supervisor and its workers: who runs, what they are told, how a change reaches all of them or none. It
// must not know how a request is carried (proxy/) beyond the engine's few calls, nor who serves the admin page.
//
// This file: the admin address, as a part of the plan that may change while the program runs. Who serves it is brought in from
// outside: admin/ stands above control/.
import type { Plan } from "../config/plan.ts";
import { hostPort } from "./status.ts";

type AdminAddress = NonNullable<Plan["admin"]>;

/** An open admin address. */
export interface AdminListener {
  readonly port: number;
  /** `atOnce` cuts requests under way; otherwise they are answered first. */
  close(atOnce: boolean): Promise<void>;
}

/** Opens the admin API at an address. Throws an Error with a message for people. */
export type OpenAdmin = (address: AdminAddress) => AdminListener;

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

  constructor(open: OpenAdmin | null) {
    this.#open = open;
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
      if (address !== null) fresh = this.#open(address);
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

  async close(): Promise<void> {
    await this.#listener?.close(true);
    this.#listener = null;
  }
}
