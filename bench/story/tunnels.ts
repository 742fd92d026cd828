// WebSockets through a balancer, that say when and how they ended.

export interface Tunnels {
  /** Of those that reached this endpoint: how many are open, and how the others ended. */
  at(port: number): TunnelCount;
  /** From here on times are counted. */
  mark(): void;
  close(): void;
}

export interface TunnelCount {
  readonly all: number;
  readonly open: number;
  /** Closed with a close frame. */
  readonly told: number;
  /** Ended without one. */
  readonly cut: number;
  /** Ms from `mark` to the first and the last end; undefined when none ended. */
  readonly first: number | undefined;
  readonly last: number | undefined;
}

interface One {
  readonly socket: WebSocket;
  port: number;
  code: number;
  endedAt: number;
}

/** Opens so many and waits until each has heard from its endpoint, which tells its port first. */
export async function openTunnels(port: number, count: number): Promise<Tunnels> {
  const all = await Promise.all(Array.from({ length: count }, () => openOne(port)));
  let from = performance.now();
  return {
    mark() {
      from = performance.now();
    },
    at(endpoint) {
      const here = all.filter((one) => one.port === endpoint);
      const ended = here.filter((one) => one.code > 0);
      const times = ended.map((one) => one.endedAt - from);
      return {
        all: here.length,
        open: here.length - ended.length,
        // 1006 is what a client notes when no close frame came.
        told: ended.filter((one) => one.code !== 1006).length,
        cut: ended.filter((one) => one.code === 1006).length,
        first: times.length > 0 ? Math.min(...times) : undefined,
        last: times.length > 0 ? Math.max(...times) : undefined,
      };
    },
    close() {
      for (const one of all) one.socket.terminate();
    },
  };
}

function openOne(port: number): Promise<One> {
  const one: One = { socket: new WebSocket(`ws://127.0.0.1:${port}/tunnel`), port: 0, code: 0, endedAt: 0 };
  return new Promise((resolve, reject) => {
    one.socket.addEventListener("message", ({ data }) => {
      one.port = Number(data);
      resolve(one);
    });
    one.socket.addEventListener("close", ({ code }) => {
      one.code = code;
      one.endedAt = performance.now();
      if (one.port === 0) reject(new Error(`a WebSocket through port ${port} ended with ${code} before it was open`));
    });
  });
}
