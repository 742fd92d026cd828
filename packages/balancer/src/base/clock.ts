// What the engine knows of time. It never reads a clock itself: net/ provides the real one, the testbed a virtual one.

/** A source of time. Milliseconds throughout. */
export interface Clock {
  /** Monotonic milliseconds with fractions; only differences mean something. */
  now(): number;
  /** Milliseconds since the Unix epoch, for logs and expiry dates. */
  wall(): number;
}
