// Where an exchange stands, for all that have a part in it.

export const Stage = { none: 0, queued: 1, connecting: 2, sending: 3, answering: 4, tunnel: 5 } as const;
