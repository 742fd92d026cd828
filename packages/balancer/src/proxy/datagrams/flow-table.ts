// The flows of one listener: whose datagrams go where, as long as that is known. Bounded: beyond the limit the flow that was
// silent longest makes room, and what finds no endpoint is dropped, as the network does.
import { writeProxyHeader } from "@plimsoll/wire/proxy-protocol";
import type { FaultCode } from "../../base/fault.ts";
import type { DatagramDoor, DatagramTransport, Sender } from "../../net/datagrams.ts";
import type { Address, Listener } from "../../net/transport.ts";
import { EndpointState, ListenerCell, PoolCell } from "../../observe/table.ts";
import type { Endpoint } from "../../pool/endpoint.ts";
import type { Pool } from "../../pool/pool.ts";
import { countFault, type EngineContext } from "../engine-context.ts";
import type { FoldedRoute } from "../folded-route.ts";
import { hashKey } from "../hash-key.ts";
import { ConnectionView } from "../layer4/connection-view.ts";
import type { ListenerSnapshot, ListenerState } from "../listener-state.ts";
import { readVisit } from "../stickiness.ts";
import { logFlow } from "./books.ts";
import { Flow, type FlowFacts, type FlowHome } from "./flow.ts";

const view = new ConnectionView();

export class FlowTable implements Listener, FlowHome {
  readonly port: number;
  readonly #context: EngineContext;
  readonly #state: ListenerState;
  readonly #transport: DatagramTransport;
  readonly #door: DatagramDoor;
  /** By client, as "address port". */
  readonly #flows = new Map<string, Flow>();
  /**
   * Of each port the flow that was heard last: nearly always the one that is looked for, and found without making its key. Others
   * are found by that, so that nobody can make this slow by choosing ports.
   */
  readonly #latest = new Map<number, Flow>();
  /** How many flows there are at each endpoint. */
  readonly #endpoints = new Map<Endpoint, number>();
  /** What the flows were last compared with. */
  #reviewed: ListenerSnapshot;
  /** The ends of the order by the last datagram. */
  #oldest: Flow | null = null;
  #newest: Flow | null = null;
  #shut = false;

  /** Begins to receive, on an inherited descriptor or a fresh socket. Throws an Error with `.code` if it cannot. */
  constructor(
    context: EngineContext,
    state: ListenerState,
    transport: DatagramTransport,
    address: Address,
    fd: number | undefined,
  ) {
    this.#context = context;
    this.#state = state;
    this.#transport = transport;
    this.#reviewed = state.current;
    this.#door = transport.open(address, fd, (bytes, from, port) => this.#receive(bytes, from, port));
    this.port = this.#door.port;
  }

  /** Whether flows may still be under way. */
  get open(): boolean {
    return !this.#shut || this.#flows.size > 0;
  }

  /** Receives no more. What was asked is still answered: sending needs nobody to read. */
  close(): void {
    if (this.#shut) return;
    this.#shut = true;
    this.#door.shut();
    if (this.#flows.size === 0) this.#door.close();
  }

  /** With every tick: forgets the flows of endpoints that take nothing any more, and of pools that no route leads to. */
  review(): void {
    if (this.#endpoints.size === 0) return;
    const gone = new Set<Endpoint>();
    for (const endpoint of this.#endpoints.keys()) if (!isKept(endpoint)) gone.add(endpoint);
    const { current } = this.#state;
    const changed = current !== this.#reviewed;
    this.#reviewed = current;
    if (gone.size === 0 && !changed) return;
    const pools = new Set(current.routes.flatMap(({ plan }) => poolsOf(plan.action)));
    for (const flow of [...this.#flows.values()]) {
      if (gone.has(flow.endpoint) || !pools.has(flow.destination.pool.plan.name)) flow.end("endpoint-left", "endpoint");
    }
  }

  /** Datagrams are not encrypted here. */
  secure(): void {}

  // FlowHome

  answer(bytes: Uint8Array, to: Sender): boolean {
    return this.#door.send(bytes, to);
  }

  ended(flow: Flow): void {
    this.#flows.delete(flow.key);
    if (this.#latest.get(flow.client.port) === flow) this.#latest.delete(flow.client.port);
    this.#unlink(flow);
    const left = (this.#endpoints.get(flow.endpoint) ?? 1) - 1;
    if (left > 0) this.#endpoints.set(flow.endpoint, left);
    else this.#endpoints.delete(flow.endpoint);
    if (flow.fault !== "") countFault(this.#context, flow.fault);
    if (this.#context.log !== null) logFlow(this.#context, flow, this.#state.name);
    if (this.#shut && this.#flows.size === 0) this.#door.close();
  }

  #receive(bytes: Uint8Array, address: string, port: number): void {
    if (this.#shut) return;
    const { cells } = this.#context;
    const at = this.#state.cells;
    cells[at + ListenerCell.bytesIn]! += bytes.length;
    cells[at + ListenerCell.datagramsIn]!++;
    const flow = this.#find(address, port);
    if (flow === null) {
      cells[at + ListenerCell.datagramsDropped]!++;
      return;
    }
    if (flow !== this.#newest) {
      this.#unlink(flow);
      this.#link(flow);
    }
    if (!flow.forward(bytes)) cells[at + ListenerCell.datagramsDropped]!++;
  }

  /** The flow of a client, which may begin here; null when there can be none. */
  #find(address: string, port: number): Flow | null {
    const latest = this.#latest.get(port);
    if (latest !== undefined && latest.from === address) return latest;
    const key = `${address} ${port}`;
    const flow = this.#flows.get(key) ?? this.#begin(key, address, port);
    if (flow !== null) this.#latest.set(port, flow);
    return flow;
  }

  /** A client that was not heard of, or not lately: its route, its pool, its endpoint. null when there is none. */
  #begin(key: string, address: string, port: number): Flow | null {
    const { clock } = this.#context;
    const { current } = this.#state;
    const client = this.#transport.senderOf(address, port, this.#door);
    view.set(client.address, "", []);
    const index = current.table.match(view);
    const route = index < 0 ? undefined : current.routes[index];
    if (route === undefined) return this.#refuse("route-not-found");
    const wall = clock.wall();
    const destination = route.split === null ? route.destination : route.split(view, wall);
    if (destination === null) return this.#refuse("internal-error");
    const { pool } = destination;
    pool.count(PoolCell.requests);
    const endpoint = pickFor(pool, wall);
    if (endpoint === null) return this.#refuse(pool.refusal === "unusable" ? "pool-unusable" : "pool-queue-full");
    this.#makeRoom(current.plan.udp.maxFlows);
    const preface = pool.plan.proxyProtocol === "off" ? null : this.#prefaceFor(client);
    return this.#add({ key, from: address, client, route, destination, preface }, endpoint);
  }

  /** The header for each datagram of a flow: any may be lost or overtaken, so none can speak for the others. */
  #prefaceFor({ address, port }: Sender): Uint8Array {
    const { host } = this.#state.current.plan.address;
    const anywhere = host === "0.0.0.0" || host === "::";
    // Of a door for all addresses it is not known which one was asked; the family is the client's.
    const destination = anywhere ? (address.includes(":") ? "::" : "0.0.0.0") : host;
    const addresses = { source: address, sourcePort: port, destination, destinationPort: this.port };
    return writeProxyHeader(addresses, { datagram: true });
  }

  #add(who: FlowFacts, endpoint: Endpoint): Flow | null {
    const flow = new Flow(this.#context, this.#state, this, who, endpoint);
    this.#flows.set(flow.key, flow);
    this.#endpoints.set(endpoint, (this.#endpoints.get(endpoint) ?? 0) + 1);
    this.#link(flow);
    if (flow.connect(this.#transport.connect(endpoint.address, flow))) return flow;
    flow.end("connect-failed", "endpoint");
    return null;
  }

  #makeRoom(most: number): void {
    while (this.#flows.size >= most && this.#oldest !== null) {
      this.#context.cells[this.#state.cells + ListenerCell.flowsEvicted]!++;
      this.#oldest.end("flow-evicted", "");
    }
  }

  #refuse(code: FaultCode): null {
    countFault(this.#context, code);
    return null;
  }

  #link(flow: Flow): void {
    flow.older = this.#newest;
    flow.newer = null;
    if (this.#newest === null) this.#oldest = flow;
    else this.#newest.newer = flow;
    this.#newest = flow;
  }

  #unlink(flow: Flow): void {
    const { older, newer } = flow;
    if (older !== null) older.newer = newer;
    else if (this.#oldest === flow) this.#oldest = newer;
    if (newer !== null) newer.older = older;
    else if (this.#newest === flow) this.#newest = older;
    flow.older = flow.newer = null;
  }
}

/** An endpoint for the client in `view`. */
function pickFor(pool: Pool, wall: number): Endpoint | null {
  const key = pool.needsKey ? hashKey(pool.plan.hashKey, view) : 0;
  if (pool.stick === null) return pool.pick(key, null);
  const visit = readVisit(pool.stick, null, view, wall);
  const endpoint = pool.pickSticky(visit, key, null);
  if (endpoint !== null && visit.endpoint !== null)
    pool.count(visit.endpoint === endpoint ? PoolCell.stickyHits : PoolCell.stickyMoved);
  return endpoint;
}

/**
 * Whether an endpoint goes on with the flows that it has. One that drains does, to the end of its window; one that left, is
 * disabled, is not ready or was put out does not: nobody would tell their clients that they speak to no one.
 */
function isKept(endpoint: Endpoint): boolean {
  const pool = endpoint.home as Pool | null;
  if (pool === null || !pool.has(endpoint)) return false;
  const { usable, spill } = pool.rotation;
  return endpoint.state() === EndpointState.draining || usable.includes(endpoint) || spill.includes(endpoint);
}

function poolsOf(action: FoldedRoute["plan"]["action"]): readonly string[] {
  if (action.kind === "pool") return [action.pool];
  return action.kind === "split" ? action.parts.map(({ pool }) => pool) : [];
}
