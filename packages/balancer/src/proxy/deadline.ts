// The time that is left for a request, as a header field carries it from hop to hop: milliseconds as a whole number, or in
// gRPC's own form under gRPC's own name.

/** One header that carries deadlines. */
export interface DeadlineField {
  /** Lower case. */
  readonly name: string;
  /** Milliseconds of a value; -1 when it is none: then there is no deadline, as if it had not been sent. */
  read(value: string): number;
  /** The field's line for `ms` (whole, not negative), with its end. */
  line(ms: number): string;
}

/** The field of this lower-case name; null for "". */
export function deadlineField(name: string): DeadlineField | null {
  if (name === "") return null;
  if (name === "grpc-timeout") return { name, read: readGrpc, line: (ms) => `grpc-timeout: ${writeGrpc(ms)}\r\n` };
  return { name, read: readMs, line: (ms) => `${name}: ${ms}\r\n` };
}

function readMs(value: string): number {
  return /^\d{1,12}$/.test(value) ? Number(value) : -1;
}

const grpcUnits: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** At most eight digits and a unit, as the gRPC protocol over HTTP/2 writes it. */
function readGrpc(value: string): number {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  const size = grpcUnits[unit ?? ""];
  return digits === undefined || size === undefined ? -1 : Math.floor(Number(digits) * size);
}

function writeGrpc(ms: number): string {
  return ms < 1e8 ? `${ms}m` : `${Math.min(Math.floor(ms / 1000), 99_999_999)}S`;
}
