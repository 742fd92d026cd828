import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MemoryConnection, MemoryNetwork } from "./fixtures/network.ts";
import { Outbox, settle } from "./outbox.ts";

const silent = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

interface Line {
  readonly outbox: Outbox;
  readonly connection: MemoryConnection;
  readonly cells: Float64Array;
}

function line(room = Number.POSITIVE_INFINITY): Line {
  const cells = new Float64Array(2);
  const outbox = new Outbox(cells, 1);
  const connection = new MemoryConnection(new MemoryNetwork(), silent, "", true);
  connection.peer.room = room;
  outbox.connection = connection;
  return { outbox, connection, cells };
}

function append({ outbox }: Line, text: string): void {
  const bytes = Buffer.from(`<${text}>`, "latin1");
  outbox.append(bytes, 1, bytes.length - 1);
  bytes.fill(0x21);
}

// All outboxes share one buffer: a test that leaves something in it would be seen by the next.
beforeEach(settle);

describe("gathering", () => {
  test("small pieces leave together at the flush", () => {
    const one = line();
    append(one, "head");
    append(one, "body");
    expect(one.connection.peer.text).toBe("");
    settle();
    expect(one.connection.peer.text).toBe("headbody");
    expect(one.cells[1]).toBe(8);
    expect(one.cells[0]).toBe(0);
  });

  test("another outbox's turn hands over what was gathered before", () => {
    const [one, two] = [line(), line()];
    append(one, "a");
    append(two, "b");
    expect(one.connection.peer.text).toBe("a");
    append(one, "c");
    expect(two.connection.peer.text).toBe("b");
    settle();
    expect(one.connection.peer.text).toBe("ac");
  });

  test("a flush of one that has nothing gathered leaves the others' bytes alone", () => {
    const [one, two] = [line(), line()];
    append(one, "a");
    two.outbox.flush();
    expect(one.connection.peer.text).toBe("");
    one.outbox.flush();
    expect(one.connection.peer.text).toBe("a");
  });

  test("a large piece goes where it lies, after what was gathered", () => {
    const one = line();
    append(one, "small");
    append(one, "L".repeat(40_000));
    expect(one.connection.peer.text).toBe(`small${"L".repeat(40_000)}`);
  });

  test("what was gathered is written ahead of a large piece of the same connection, and of no other", () => {
    const calls: string[] = [];
    const watched = (name: string): Line => {
      const made = line();
      const { connection } = made;
      const write = connection.write.bind(connection);
      connection.write = (bytes, from, to) => (calls.push(`${name} ${to - from}`), write(bytes, from, to));
      connection.writeAhead = (bytes, from, to) => (calls.push(`${name} ${to - from} ahead`), write(bytes, from, to));
      return made;
    };
    const [one, two] = [watched("one"), watched("two")];
    append(one, "head");
    append(one, "L".repeat(40_000));
    append(one, "tail");
    append(two, "L".repeat(40_000));
    settle();
    expect(calls).toEqual(["one 4 ahead", "one 40000", "one 4", "two 40000"]);
  });

  test("a large piece waits behind what was gathered and not taken", () => {
    const one = line(3);
    append(one, "small");
    append(one, "L".repeat(40_000));
    expect([one.connection.peer.text, one.outbox.waiting]).toEqual(["sma", 40_002]);
    one.connection.peer.room = 100_000;
    expect(one.outbox.drain()).toBeTrue();
    expect(one.connection.peer.text).toBe(`small${"L".repeat(40_000)}`);
  });

  test("more than the buffer holds goes out in turn", () => {
    const one = line();
    for (let i = 0; i < 10; i++) append(one, String(i).repeat(30_000));
    settle();
    expect(one.connection.peer.text).toBe(Array.from({ length: 10 }, (_, i) => String(i).repeat(30_000)).join(""));
  });

  test("what is written in place counts like what is appended", () => {
    const one = line();
    append(one, "a");
    let at = one.outbox.reserve(64 * 1024);
    Outbox.scratch[at++] = 98;
    one.outbox.wrote(at);
    append(one, "c");
    settle();
    expect(one.connection.peer.text).toBe("abc");
  });

  test("empty pieces are nothing", () => {
    const one = line();
    one.outbox.append(new Uint8Array(3), 2, 2);
    settle();
    expect(one.connection.peer.received.length).toBe(0);
  });
});

describe("short writes", () => {
  test("of every size are completed in order", () => {
    const text = "0123456789abcdef";
    for (let room = 0; room <= text.length; room++) {
      for (const step of [1, 3, text.length]) {
        const one = line(room);
        append(one, text);
        settle();
        expect(one.outbox.blocked).toBe(room < text.length);
        expect(one.outbox.waiting).toBe(text.length - room);
        append(one, "more");
        settle();
        let rounds = 0;
        while (one.outbox.blocked && rounds++ < 100) {
          one.connection.peer.room += step;
          one.outbox.drain();
        }
        settle();
        one.connection.peer.room += 100;
        expect(one.outbox.drain()).toBeTrue();
        expect(one.connection.peer.text).toBe(`${text}more`);
        expect(one.cells[1]).toBe(text.length + 4);
      }
    }
  });

  test("a cleared outbox forgets what waits and what was gathered", () => {
    const one = line(1);
    append(one, "waits");
    settle();
    append(one, "gathered");
    one.outbox.clear();
    one.connection.peer.room = 1_000;
    expect(one.outbox.blocked).toBeFalse();
    expect(one.outbox.waiting).toBe(0);
    expect(one.outbox.drain()).toBeTrue();
    settle();
    expect(one.connection.peer.text).toBe("w");
  });

  test("clearing one leaves what another gathered", () => {
    const [one, two] = [line(), line()];
    append(two, "b");
    one.outbox.clear();
    settle();
    expect(two.connection.peer.text).toBe("b");
  });

  test("without a connection bytes go nowhere and nothing waits", () => {
    const one = line();
    one.outbox.connection = null;
    append(one, "lost");
    settle();
    expect(one.outbox.blocked).toBeFalse();
  });
});

test("any calls on three outboxes: each connection gets exactly its own bytes, in order", () => {
  const size = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 32_000, max: 33_500 }),
    fc.constant(70_000),
  );
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), on: fc.nat(2), size }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("drain" as const), on: fc.nat(2), size }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("flush" as const), on: fc.nat(2), size }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("settle" as const), on: fc.nat(2), size }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const), on: fc.nat(2), size }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.infiniteStream(fc.nat(40_000)), (steps, rooms) => {
      settle();
      const lines = [line(0), line(0), line(0)];
      const model = lines.map(() => "");
      let letter = 0;
      for (const { do: what, on, size: length } of steps) {
        const one = lines[on] as Line;
        one.connection.peer.room = rooms.next().value as number;
        if (what === "append") {
          const text = String.fromCharCode(97 + (letter++ % 26)).repeat(length);
          append(one, text);
          model[on] += text;
        } else if (what === "drain") one.outbox.drain();
        else if (what === "flush") one.outbox.flush();
        else if (what === "settle") settle();
        else {
          one.outbox.clear();
          model[on] = one.connection.peer.text;
        }
        for (const [i, each] of lines.entries()) {
          expect(model[i]?.startsWith(each.connection.peer.text)).toBeTrue();
          expect(each.outbox.blocked).toBe(each.outbox.waiting > 0);
        }
      }
      for (const one of lines) one.connection.peer.room = Number.POSITIVE_INFINITY;
      settle();
      for (const one of lines) one.outbox.drain();
      for (const [i, one] of lines.entries()) {
        expect(one.connection.peer.text === model[i]).toBeTrue();
      }
    }),
    { numRuns: 300 },
  );
});
