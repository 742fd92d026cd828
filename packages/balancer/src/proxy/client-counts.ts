// Open connections of a listener by client, where `limits.connectionsPerClient` asks for it: one client that opens thousands must
// not take the places of all others.

/** Counts connections by whatever text stands for a client: each is held by its session, or by what it is before it has one. No larger than what is open. */
export class ClientCounts {
  readonly #counts = new Map<string, number>();
  readonly #clients = new Map<object, string>();

  of(client: string): number {
    return this.#counts.get(client) ?? 0;
  }

  enter(holder: object, client: string): void {
    this.#clients.set(holder, client);
    this.#counts.set(client, this.of(client) + 1);
  }

  /** No matter if it was never counted. */
  leave(holder: object): void {
    const client = this.#clients.size === 0 ? undefined : this.#clients.get(holder);
    if (client === undefined) return;
    this.#clients.delete(holder);
    const left = this.of(client) - 1;
    if (left > 0) this.#counts.set(client, left);
    else this.#counts.delete(client);
  }
}
