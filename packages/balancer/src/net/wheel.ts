// One coarse timing wheel for every timeout of a worker. Arming an armed timer later costs one store (the wheel moves it
// when its old slot comes up), because nearly every timeout is pushed back and nearly none fires.

/** Something that can expire. One object per connection, re-armed for each rung in turn. */
export class Timer {
  /** Wheel time in ms when it fires; 0 when disarmed. */
  deadline = 0;
  /** Wheel internals: the slot it lies in, -1 when in none. */
  slot = -1;
  readonly expire: () => void;
  constructor(expire: () => void) {
    this.expire = expire;
  }
}
