// A drain as one worker carries it out at one endpoint: tunnels are asked to end, spread over the window, and what is left at
// its end is cut. When it begins and ends stands in the shared table, so all workers keep to the same clock.
import type { Random } from "../base/random.ts";
import type { Occupant, Occupants } from "./occupants.ts";

/** Tunnels are asked to end within this share of the window: the last must still have time to say goodbye. */
const spreadShare = 0.8;
/**
 * Ms between two tunnels where the window allows it: clients connect again at once, and a thousand that do so in the same
 * moment are an attack on whoever is left (ingress-nginx#2461). Nobody waits longer than that asks for: five tunnels are
 * gone within a quarter of a second, however long the window is.
 */
const leastInterval = 50;
/** Within which shares of the window those are asked of which nobody knows what they are in the middle of. */
const patientFrom = 0.8;
const patientTo = 0.95;

/** Ms over which `tunnels` are asked to end when `left` ms are left of the window. */
export function spreadOf(tunnels: number, left: number): number {
  return Math.min(left * spreadShare, tunnels * leastInterval);
}

/** When, in ms from now, the `index`-th of `count` is asked: evenly over `spread`, each at a moment of its own. */
export function closingTime(index: number, count: number, spread: number, random: Random): number {
  return ((index + random()) / count) * spread;
}

/** When, in ms from now, the `index`-th of `count` patient ones is asked when `left` ms are left of the window. */
export function lateClosingTime(index: number, count: number, left: number, random: Random): number {
  return left * patientFrom + closingTime(index, count, left * (patientTo - patientFrom), random);
}

/** Gives each of them its moment. */
export function spreadClosing(tunnels: readonly Occupant[], left: number, random: Random): void {
  const patient = tunnels.filter((one) => one.patient);
  const others = tunnels.filter((one) => !one.patient);
  const spread = spreadOf(others.length, left);
  others.forEach((one, index) => one.closeAfter(closingTime(index, others.length, spread, random)));
  patient.forEach((one, index) => one.closeAfter(lateClosingTime(index, patient.length, left, random)));
}

/** What was cut, by kind. */
export interface CutCount {
  exchanges: number;
  tunnels: number;
}

export class EndpointDrain {
  #from = 0;
  #until = 0;

  /** Whether a drain is under way as far as this worker knows. */
  get active(): boolean {
    return this.#from !== 0;
  }

  /**
   * Called with every tick: `from` and `until` are what the shared table says, wall-clock ms, 0 for no drain. Returns what it
   * cut, or null.
   */
  review(from: number, until: number, wallNow: number, occupants: Occupants, random: Random): CutCount | null {
    if (from !== this.#from || until !== this.#until) this.#change(from, until, wallNow, occupants, random);
    if (from === 0 || wallNow < until || occupants.first === null) return null;
    const cut: CutCount = { exchanges: 0, tunnels: 0 };
    for (const one of occupants.all()) {
      if (one.tunnel) cut.tunnels++;
      else cut.exchanges++;
      one.cut();
    }
    return cut;
  }

  /** Something new is under way: a sticky client may still come, and its tunnel ends with the others. */
  joined(one: Occupant, wallNow: number, random: Random): void {
    if (this.#from === 0 || !one.tunnel) return;
    const left = Math.max(0, this.#until - wallNow);
    one.closeAfter(one.patient ? lateClosingTime(0, 1, left, random) : random() * spreadShare * left);
  }

  #change(from: number, until: number, wallNow: number, occupants: Occupants, random: Random): void {
    this.#from = from;
    this.#until = until;
    const tunnels = occupants.all().filter((one) => one.tunnel);
    if (from === 0) for (const tunnel of tunnels) tunnel.closeAfter(-1);
    else spreadClosing(tunnels, Math.max(0, until - wallNow), random);
  }
}
