// Open connections of a listener by client, where `limits.connectionsPerClient` asks for it: one client that opens thousands must
// not take the places of all others.

/** Counts sessions by whatever text stands for a client. No larger than what is open. */
export class ClientCounts {
  readonly #counts = new Map<string, number>();
  readonly #clients = new Map<object, string>();

  of(client: string): number {
    return this.#counts.get(client) ?? 0;
  }

  enter(session: object, client: string): void {
    this.#clients.set(session, client);
    this.#counts.set(client, this.of(client) + 1);
  }

  /** No matter if it was never counted. */
  leave(session: object): void {
    const client = this.#clients.size === 0 ? undefined : this.#clients.get(session);
    if (client === undefined) return;
    this.#clients.delete(session);
    const left = this.of(client) - 1;
    if (left > 0) this.#counts.set(client, left);
    else this.#counts.delete(client);
  }
}
