// The shared table: one memory-mapped file for live counters and endpoint states, seen by all processes. Every worker has
// a row of its own and writes only there, so nothing is locked; sums are read over all rows. Cells are 64-bit floats:
// aligned stores are atomic on x86-64 and arm64, and counts are exact to 2^53. The file is sparse: room is free.
import { closeSync, ftruncateSync, openSync } from "node:fs";

/** Cells of one endpoint in one worker's row. */
export const EndpointCell = {
  inFlight: 0,
  requests: 1,
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
  retries: 13, // tries that went here because another endpoint failed
  idle: 14, // idle keep-alive connections
  tunnels: 15,
  size: 16,
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
  latency: 16, // first of `latencyBuckets.length + 1` cells
  size: 40,
} as const;

/** Upper bounds in ms of the latency buckets; one more cell counts what is above the last. */
export const latencyBuckets = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000] as const;

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
  size: 16,
} as const;

/** Cells of a worker: first its own, then one per fault code. */
export const WorkerCell = { pid: 0, started: 1, heartbeat: 2, snapshot: 3, rss: 4, faults: 16, size: 144 } as const;

/** Endpoint states, written by the supervisor only, read by workers for each pick. */
export const EndpointState = { unknown: 0, ready: 1, unready: 2, draining: 3, disabled: 4 } as const;

/** Cells that the supervisor (state, since) and any worker (passive) write for an endpoint, outside the rows. */
export const StateCell = {
  state: 0,
  /** Wall-clock ms of the last change of state. */
  since: 1,
  /** Wall-clock ms until which passive marking keeps it out of rotation; any worker may write, last one wins. */
  passiveUntil: 2,
  size: 4,
} as const;

/** How much the table can hold. */
export interface TableShape {
  readonly workers: number;
  readonly endpoints: number;
  readonly pools: number;
  readonly listeners: number;
}

/** The table as one process sees it: plain cells and the offsets into them, for hot code to keep in local fields. */
export class SharedTable {
  readonly cells: Float64Array;
  readonly shape: TableShape;
  /** Cells from one worker's row to the next. */
  readonly stride: number;
  /** First cell of row 0. */
  readonly rows: number;

  private constructor(cells: Float64Array, shape: TableShape) {
    this.cells = cells;
    this.shape = shape;
    this.rows = 8 + shape.endpoints * StateCell.size;
    this.stride = rowSize(shape);
  }

  /** Makes the file (or empties it) and maps it. The supervisor does this once. */
  static create(path: string, shape: TableShape): SharedTable {
    const fd = openSync(path, "w+", 0o600);
    try {
      ftruncateSync(fd, 0);
      ftruncateSync(fd, tableCells(shape) * 8);
    } finally {
      closeSync(fd);
    }
    return SharedTable.open(path, shape);
  }

  /** Maps a file that `create` made. */
  static open(path: string, shape: TableShape): SharedTable {
    const bytes = Bun.mmap(path, { shared: true });
    return new SharedTable(new Float64Array(bytes.buffer, bytes.byteOffset, tableCells(shape)), shape);
  }

  /** A table in plain memory, for a single process and for tests. */
  static local(shape: TableShape): SharedTable {
    return new SharedTable(new Float64Array(tableCells(shape)), shape);
  }

  /** First state cell of an endpoint. */
  state(slot: number): number {
    return 8 + slot * StateCell.size;
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

  /** Sum of one cell over all rows; `first` is its offset in row 0. */
  sum(first: number): number {
    const { cells, stride } = this;
    let total = 0;
    for (let row = 0, at = first; row < this.shape.workers; row++, at += stride) total += cells[at] ?? 0;
    return total;
  }
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
  return 8 + shape.endpoints * StateCell.size + shape.workers * rowSize(shape);
}
