// Timed tokens that were found genuine lately, so that a client costs an HMAC once and not with every request. Only genuine
// ones get in: forged ones could fill it, these are as few as there are endpoints and moments of renewal. Two generations
// instead of a list of uses: what was asked for in the last one is carried over.

export class SeenTokens<T> {
  readonly #most: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  constructor(most: number) {
    this.#most = most;
  }

  get(token: string): T | undefined {
    const young = this.#young.get(token);
    if (young !== undefined) return young;
    const old = this.#old.get(token);
    if (old !== undefined) this.set(token, old);
    return old;
  }

  set(token: string, value: T): void {
    if (this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(token, value);
  }
}
