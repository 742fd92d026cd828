// Gives out the rows of the shared table. A slot belongs to what gives its numbers their meaning: a pool's name; a pool's
// name, an endpoint's id and its address; a listener's name. So counters and states outlive every reload that keeps these.
// A slot that is given back is reused late and only when nothing counts in it any more: exchanges that began before a
// reload still write to it.
import type { EndpointPlan, PoolPlan } from "../pool/plan.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import type { TableShape } from "../observe/table.ts";

/** What the registry asks of the table. */
export interface SlotUse {
  /** Whether any worker still has something in flight, idle or open in this slot. */
  busy(kind: SlotKind, slot: number): boolean;
  /** Called before a slot gets a new meaning. */
  clear(kind: SlotKind, slot: number): void;
}

export type SlotKind = "endpoint" | "pool" | "listener";

/** A plan with slots, valid once it is committed; nothing needs to be done to give it up. */
export interface SlotClaim {
  readonly plan: EnginePlan;
  commit(now: number): void;
}

/** Ms that a slot rests before it gets another meaning; the longest exchange may last longer, hence also `busy`. */
const rest = 60_000;

/** The registry of one program. */
export class Slots {
  readonly #shelves: Readonly<Record<SlotKind, Shelf>>;

  constructor(shape: TableShape, use: SlotUse) {
    this.#shelves = {
      endpoint: new Shelf("endpoint", shape.endpoints, use),
      pool: new Shelf("pool", shape.pools, use),
      listener: new Shelf("listener", shape.listeners, use),
    };
  }

  /** Gives every endpoint, pool and listener its slot. A problem says what does not fit; nothing has changed then. */
  claim(plan: EnginePlan, now: number): SlotClaim | { readonly problem: string } {
    const shelves = this.#shelves;
    const keys = plan.pools.flatMap((one) => one.endpoints.map((each) => endpointKey(one.name, each)));
    const endpoints = shelves.endpoint.claim(keys, now);
    const pools = shelves.pool.claim(
      plan.pools.map((one) => one.name),
      now,
    );
    const listeners = shelves.listener.claim(
      plan.listeners.map((one) => one.name),
      now,
    );
    for (const claim of [endpoints, pools, listeners]) {
      if (claim.problem !== "") return { problem: claim.problem };
    }
    const slotted: EnginePlan = {
      ...plan,
      listeners: plan.listeners.map((one): ListenerPlan => ({ ...one, slot: listeners.slot(one.name) })),
      pools: plan.pools.map((one): PoolPlan => ({
        ...one,
        slot: pools.slot(one.name),
        endpoints: one.endpoints.map((each) => ({ ...each, slot: endpoints.slot(endpointKey(one.name, each)) })),
      })),
    };
    return {
      plan: slotted,
      commit(at) {
        for (const claim of [endpoints, pools, listeners]) claim.commit(at);
      },
    };
  }
}

/** What an endpoint's counters and state belong to. */
export function endpointKey(pool: string, endpoint: EndpointPlan): string {
  const { address } = endpoint;
  const where = address.kind === "tcp" ? `tcp ${address.host} ${address.port}` : `unix ${address.path}`;
  return JSON.stringify([pool, endpoint.id, where]);
}

/** Slots of one kind. */
class Shelf {
  readonly #kind: SlotKind;
  readonly #size: number;
  readonly #use: SlotUse;
  /** In use, by key. */
  #taken = new Map<string, number>();
  /** Given back, by key, oldest first: the same key gets the same slot again. */
  readonly #resting = new Map<string, { readonly slot: number; readonly since: number }>();
  /** First that was never given out. */
  #next = 0;

  constructor(kind: SlotKind, size: number, use: SlotUse) {
    this.#kind = kind;
    this.#size = size;
    this.#use = use;
  }

  claim(keys: readonly string[], now: number): ShelfClaim {
    const wanted = new Map<string, number>();
    // Those with a slot first: nobody else may get it.
    for (const key of keys) {
      const have = this.#taken.get(key) ?? this.#resting.get(key)?.slot;
      if (have !== undefined) wanted.set(key, have);
    }
    const rested = this.#rested(now, wanted);
    let next = this.#next;
    let missing = 0;
    for (const key of keys) {
      if (wanted.has(key)) continue;
      const slot = next < this.#size ? next++ : rested.next().value;
      if (slot === undefined) missing++;
      else wanted.set(key, slot);
    }
    return {
      problem: missing === 0 ? "" : this.#full(missing),
      slot: (key) => wanted.get(key) ?? -1,
      commit: (at) => {
        this.#next = next;
        this.#settle(wanted, at);
      },
    };
  }

  /** Slots whose rest is over, in which nothing counts any more. */
  *#rested(now: number, wanted: ReadonlyMap<string, number>): Generator<number, undefined> {
    for (const [key, { slot, since }] of this.#resting) {
      if (now - since < rest) return;
      if (!wanted.has(key) && !this.#use.busy(this.#kind, slot)) yield slot;
    }
  }

  #settle(wanted: Map<string, number>, now: number): void {
    const slots = new Set(wanted.values());
    for (const [key, slot] of wanted) {
      const known = this.#taken.has(key) || this.#resting.has(key);
      if (!known) this.#use.clear(this.#kind, slot);
    }
    for (const [key, { slot }] of this.#resting) {
      if (slots.has(slot)) this.#resting.delete(key);
    }
    for (const [key, slot] of this.#taken) {
      if (!wanted.has(key)) this.#resting.set(key, { slot, since: now });
    }
    this.#taken = wanted;
  }

  #full(missing: number): string {
    return (
      `the program was started with room for ${this.#size} ${this.#kind}s and this needs ${missing} more; ` +
      "restart it: room is made for several times what the configuration holds at the start"
    );
  }
}

interface ShelfClaim {
  /** "" when everything fits. */
  readonly problem: string;
  slot(key: string): number;
  commit(now: number): void;
}
