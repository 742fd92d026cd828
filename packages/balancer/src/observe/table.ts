// The shared table: one memory-mapped file for live counters and endpoint states, seen by all processes. Every worker has
// a row of its own and writes only there, so nothing is locked; sums are read over all rows, one of which is for what programs
// before this one counted. Cells are 64-bit floats:
// aligned stores are atomic on x86-64 and arm64, and counts are exact to 2^53. The file is sparse: room is free.
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from "node:fs";

/** Cells of one endpoint in one worker's row. */
export const EndpointCell = {
  inFlight: 0,
  requests: 1, // tries, retries and hedges among them
  connects: 2,
  connectFailures: 3,
  reuses: 4,
  failures: 5, // exchanges that ended in an upstream fault
  answers2xx: 6,
  answers3xx: 7,
  answers4xx: 8,
  answers5xx: 9,
  bytesUp: 10, // towards the endpoint
  bytesDown: 11,
  /** Peak-EWMA latency in ms as this worker sees it. */
  ewma: 12,
  retries: 13, // those of the tries that went here because another endpoint failed or was late
  idle: 14, // idle keep-alive connections
  tunnels: 15,
  /** Wall-clock ms at which the oldest of what is under way began; kept only while the endpoint drains, else 0. */
  oldest: 16,
  tunnelsClosed: 17, // tunnels that a drain closed in good order
  cutExchanges: 18, // cut at the end of a drain's window
  cutTunnels: 19,
  /** Tries that the endpoint broke off, on connections where that is not the keep-alive race, or answered with nonsense. */
  resets: 20,
  timeouts: 21, // tries that it did not answer, or not to the end, in time
  connectRefusals: 22, // those connect failures that were refusals
  /** Of answers below 500: how many were timed, sum of the natural logarithms of their ms to the first byte, of the squares. */
  timed: 23,
  latencyLogs: 24,
  latencyLogSquares: 25,
  /** Ms of rest after which a connection is not used again, as this worker learned it; 0 = nothing was learned. */
  keepAlive: 26,
  connections: 27, // layer-4 connections on which the endpoint said something
  size: 32,
} as const;

/** Cells of one pool in one worker's row; the rest are latency buckets. */
export const PoolCell = {
  requests: 0,
  queued: 1,
  queueTimeouts: 2,
  queueOverflows: 3,
  retries: 4,
  retriesDenied: 5, // wanted, but over budget
  unusable: 6, // requests that found no usable endpoint
  failOpen: 7, // requests sent although nobody was ready
  latencySum: 8, // ms
  mirrored: 9,
  stickyHits: 10, // answers from the endpoint that the client belongs to
  stickyNew: 11, // ... to clients that belonged nowhere
  stickyMoved: 12, // ... from another endpoint, because their own could not take them
  stickyRefused: 13, // of the new ones: what they carried was not believed, or had expired
  queuedOwn: 40, // of those that are queued: waiting for the one endpoint they belong to
  /** Longest exchange in ms that was answered in full and was no stream: of this period, and of the one before. */
  longest: 14,
  longestBefore: 15,
  latency: 16, // first of `latencyBuckets.length + 1` cells
  /** The keep-alive race: connections not reused because of their age, tries that met it, and those of them that a client felt. */
  staleAvoided: 34,
  staleRetried: 35,
  staleFailed: 36,
  hedges: 37, // second tries sent while the first went on
  hedgesWon: 38,
  cancelled: 39, // exchanges given up at the endpoint because the client had gone
  size: 48,
} as const;

/** Upper bounds in ms of the latency buckets; one more cell counts what is above the last. */
export const latencyBuckets = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
] as const;

/** Cells of one listener in one worker's row. */
export const ListenerCell = {
  accepted: 0,
  open: 1,
  requests: 2,
  answers1xx: 3,
  answers2xx: 4,
  answers3xx: 5,
  answers4xx: 6,
  answers5xx: 7,
  bytesIn: 8,
  bytesOut: 9,
  refused: 10, // connections closed at once: over maxConnections
  datagramsIn: 11,
  datagramsOut: 12,
  datagramsDropped: 13, // of both directions: no endpoint, no room in the kernel, too much of an answer
  flowsEvicted: 14,
  tlsFull12: 16, // handshakes by version, those apart that took up an earlier session
  tlsFull13: 17,
  tlsResumed12: 18,
  tlsResumed13: 19,
  tlsFailures: 20, // first of as many as there are reasons
  size: 32,
} as const;

/** Why a TLS handshake with a client failed, in the order of the cells. A label of metrics: never renamed. */
export const tlsFailureReasons = [
  "protocol", // no version, suite, group or ALPN protocol in common, or bytes that are no TLS
  "plain-http", // an HTTP request without TLS
  "certificate", // the client's certificate is missing or not valid
  "rejected", // the client did not like our certificate
  "name", // no certificate for the name that was asked for, and only those are shown
  "timeout",
  "gone", // the client went away in the middle
] as const;

/** Cells of a worker: first its own, then one per fault code. */
export const WorkerCell = {
  pid: 0,
  /** Wall-clock ms. */
  started: 1,
  /** Wall-clock ms of the worker's last sign of life. */
  heartbeat: 2,
  /** Generation of the snapshot it runs. */
  snapshot: 3,
  /** Resident bytes. */
  rss: 4,
  /** Lines of the access log that were written and that were given up. */
  logTaken: 5,
  logDropped: 6,
  /** Wall-clock ms of the last tick: endpoint states written before it are known to this worker. */
  reviewed: 7,
  /** Wall-clock ms since when it accepts nothing, because its descriptors are used up; 0 while it accepts. */
  shortSince: 8,
  shortages: 9, // times that it began to
  /** Wall-clock ms since when it accepts nothing, because the workers' memory is used up; 0 while it accepts. */
  fullSince: 10,
  faults: 16,
  size: 144,
} as const;

/** Endpoint states, written by the supervisor only, read by workers for each pick. */
export const EndpointState = { unknown: 0, ready: 1, unready: 2, draining: 3, disabled: 4 } as const;

/** Cells that the supervisor (state, since) and any worker (passive) write for an endpoint, outside the rows. */
export const StateCell = {
  state: 0,
  /** Wall-clock ms of the last change of state. */
  since: 1,
  /** Wall-clock ms until which passive marking keeps it out of rotation; any worker may write, last one wins. */
  passiveUntil: 2,
  /** Wall-clock ms until which it is ejected as an outlier; written by the supervisor only. */
  ejectedUntil: 3,
  /** Wall-clock ms from which it comes up to its full share; 0 = it has it. The supervisor and any worker write, last one wins. */
  warmFrom: 4,
  ejections: 5, // times it was ejected as an outlier
  /** Wall-clock ms between which it drains; both 0 while it does not. */
  drainFrom: 6,
  drainUntil: 7,
  size: 8,
} as const;

/** What tells how things are rather than how often something happened: it dies with the worker that wrote it. */
export const gauges = {
  endpoint: [
    EndpointCell.inFlight,
    EndpointCell.ewma,
    EndpointCell.idle,
    EndpointCell.tunnels,
    EndpointCell.keepAlive,
    EndpointCell.oldest,
  ],
  pool: [PoolCell.queued, PoolCell.queuedOwn],
  listener: [ListenerCell.open],
  worker: [
    WorkerCell.pid,
    WorkerCell.heartbeat,
    WorkerCell.snapshot,
    WorkerCell.rss,
    WorkerCell.reviewed,
    WorkerCell.shortSince,
    WorkerCell.fullSince,
  ],
} as const;

/** The file's first cells: what it is, so that no process ever reads another layout. */
const HeaderCell = {
  magic: 0,
  version: 1,
  workers: 2,
  endpoints: 3,
  pools: 4,
  listeners: 5,
  owner: 6,
  sessions: 7,
  size: 8,
} as const;
const magic = 0x504c494d; // "PLIM"
/** To be raised with every change of the cells above. */
const layoutVersion = 7;

/** How much the table can hold. */
export interface TableShape {
  readonly workers: number;
  readonly endpoints: number;
  readonly pools: number;
  readonly listeners: number;
  /** Sessions of applications' cookies that are remembered; none if left out. */
  readonly sessions?: number;
}

/** The table as one process sees it: plain cells and the offsets into them, for hot code to keep in local fields. */
export class SharedTable {
  readonly cells: Float64Array;
  readonly shape: TableShape;
  /** Cells from one worker's row to the next. */
  readonly stride: number;
  /** First cell of row 0. */
  readonly rows: number;
  /** First of the cells that remember sessions (pool/stick/learned.ts). */
  readonly sessions: number;

  private constructor(cells: Float64Array, shape: TableShape) {
    this.cells = cells;
    this.shape = shape;
    this.rows = HeaderCell.size + shape.endpoints * StateCell.size;
    this.stride = rowSize(shape);
    this.sessions = this.rows + (shape.workers + 1) * this.stride;
  }

  /**
   * Makes the file, which must not exist yet, and maps it. The supervisor does this once. `owner` is its process id.
   * Throws what the system says when the file cannot be made.
   */
  static create(path: string, shape: TableShape, owner = 0): SharedTable {
    const fd = openSync(path, "wx+", 0o600);
    try {
      ftruncateSync(fd, tableCells(shape) * 8);
      writeSync(fd, header(shape, owner));
    } finally {
      closeSync(fd);
    }
    return SharedTable.open(path);
  }

  /** Maps a file that `create` made. Throws when it is not one, is of another version, or is shorter than it says. */
  static open(path: string, expected?: TableShape): SharedTable {
    const size = statSync(path).size;
    if (size < HeaderCell.size * 8) throw new Error(`${path} is not a Plimsoll table: it has ${size} bytes`);
    const bytes = Bun.mmap(path, { shared: true });
    const cells = new Float64Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 8));
    const shape = readHeader(path, cells);
    if (expected !== undefined && !sameShape(shape, expected))
      throw new Error(`${path} has another shape than expected`);
    return new SharedTable(cells, shape);
  }

  /** A table in plain memory, for a single process and for tests. */
  static local(shape: TableShape): SharedTable {
    const cells = new Float64Array(tableCells(shape));
    cells.set(header(shape, 0));
    return new SharedTable(cells, shape);
  }

  /** Process id of the supervisor that made it; 0 if it told none. */
  get owner(): number {
    return this.cells[HeaderCell.owner] ?? 0;
  }

  /** First state cell of an endpoint. */
  state(slot: number): number {
    return HeaderCell.size + slot * StateCell.size;
  }
  /** First cell of a worker's own cells. */
  worker(row: number): number {
    return this.rows + row * this.stride;
  }
  endpoint(row: number, slot: number): number {
    return this.worker(row) + WorkerCell.size + slot * EndpointCell.size;
  }
  pool(row: number, slot: number): number {
    return this.endpoint(row, this.shape.endpoints) + slot * PoolCell.size;
  }
  listener(row: number, slot: number): number {
    return this.pool(row, this.shape.pools) + slot * ListenerCell.size;
  }

  /** The row behind the workers' own: what was counted by programs from which this one took over (earlier-counts.ts). */
  get earlier(): number {
    return this.shape.workers;
  }

  /** Sum of one cell over all rows, the earlier programs' too; `first` is its offset in row 0. */
  sum(first: number): number {
    const { cells, stride } = this;
    let total = 0;
    for (let row = 0, at = first; row <= this.shape.workers; row++, at += stride) total += cells[at] ?? 0;
    return total;
  }

  /** A worker is gone: what it had in flight, open or idle is gone with it. What it counted stays counted. */
  clearGauges(row: number): void {
    const { cells, shape } = this;
    for (const cell of gauges.worker) cells[this.worker(row) + cell] = 0;
    for (let slot = 0; slot < shape.endpoints; slot++) {
      for (const cell of gauges.endpoint) clear(cells, this.endpoint(row, slot) + cell);
    }
    for (let slot = 0; slot < shape.pools; slot++) {
      for (const cell of gauges.pool) clear(cells, this.pool(row, slot) + cell);
    }
    for (let slot = 0; slot < shape.listeners; slot++) {
      for (const cell of gauges.listener) clear(cells, this.listener(row, slot) + cell);
    }
  }

  /** Forgets everything about an endpoint's slot, before another endpoint gets it. */
  clearEndpoint(slot: number): void {
    this.cells.fill(0, this.state(slot), this.state(slot) + StateCell.size);
    this.#clearEverywhere(this.endpoint(0, slot), EndpointCell.size);
  }

  clearPool(slot: number): void {
    this.#clearEverywhere(this.pool(0, slot), PoolCell.size);
  }

  clearListener(slot: number): void {
    this.#clearEverywhere(this.listener(0, slot), ListenerCell.size);
  }

  #clearEverywhere(first: number, size: number): void {
    for (let row = 0, at = first; row <= this.shape.workers; row++, at += this.stride)
      this.cells.fill(0, at, at + size);
  }
}

/** Writes only where something is: the file is sparse, and reading a hole costs no room, writing does. */
function clear(cells: Float64Array, at: number): void {
  if (cells[at] !== 0) cells[at] = 0;
}

function header(shape: TableShape, owner: number): Float64Array {
  const cells = new Float64Array(HeaderCell.size);
  cells[HeaderCell.magic] = magic;
  cells[HeaderCell.version] = layoutVersion;
  cells[HeaderCell.workers] = shape.workers;
  cells[HeaderCell.endpoints] = shape.endpoints;
  cells[HeaderCell.pools] = shape.pools;
  cells[HeaderCell.listeners] = shape.listeners;
  cells[HeaderCell.owner] = owner;
  cells[HeaderCell.sessions] = shape.sessions ?? 0;
  return cells;
}

function readHeader(path: string, cells: Float64Array): TableShape {
  if (cells[HeaderCell.magic] !== magic) throw new Error(`${path} is not a Plimsoll table`);
  const version = cells[HeaderCell.version];
  if (version !== layoutVersion) {
    throw new Error(`${path} is a table of version ${version}, and this program speaks version ${layoutVersion}`);
  }
  const shape: TableShape = {
    workers: cells[HeaderCell.workers] ?? 0,
    endpoints: cells[HeaderCell.endpoints] ?? 0,
    pools: cells[HeaderCell.pools] ?? 0,
    listeners: cells[HeaderCell.listeners] ?? 0,
    ...(cells[HeaderCell.sessions] === 0 ? {} : { sessions: cells[HeaderCell.sessions] ?? 0 }),
  };
  for (const [name, size] of Object.entries(shape)) {
    if (!Number.isSafeInteger(size) || size < 0) throw new Error(`${path} says it holds ${size} ${name}`);
  }
  if (tableCells(shape) !== cells.length) {
    throw new Error(`${path} has ${cells.length} cells where ${tableCells(shape)} belong`);
  }
  return shape;
}

const tableNames = ["workers", "endpoints", "pools", "listeners", "sessions"] as const;

function sameShape(a: TableShape, b: TableShape): boolean {
  return tableNames.every((name) => (a[name] ?? 0) === (b[name] ?? 0));
}

function rowSize(shape: TableShape): number {
  return (
    WorkerCell.size +
    shape.endpoints * EndpointCell.size +
    shape.pools * PoolCell.size +
    shape.listeners * ListenerCell.size
  );
}

function tableCells(shape: TableShape): number {
  return (
    HeaderCell.size + shape.endpoints * StateCell.size + (shape.workers + 1) * rowSize(shape) + (shape.sessions ?? 0)
  );
}
