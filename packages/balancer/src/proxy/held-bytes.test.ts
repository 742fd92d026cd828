import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeldBytes } from "./held-bytes.ts";

function taken(held: HeldBytes): string {
  const bytes = held.take();
  return Buffer.from(bytes.subarray(held.from, held.to)).toString("latin1");
}

describe("held bytes", () => {
  test("are copies, in the order in which they came", () => {
    const held = new HeldBytes();
    const lent = Buffer.from("xabcx");
    held.add(lent, 1, 4);
    lent.fill(0);
    held.add(Buffer.from("def"), 0, 3);
    expect(held.empty).toBeFalse();
    expect(held.length).toBe(6);
    expect(taken(held)).toBe("abcdef");
    expect(held.empty).toBeTrue();
  });

  test("what was taken stays as it is while new bytes are held", () => {
    const held = new HeldBytes();
    held.add(Buffer.from("old"), 0, 3);
    const bytes = held.take();
    held.add(Buffer.from("new!"), 0, 4);
    expect(Buffer.from(bytes.subarray(0, 3)).toString()).toBe("old");
    expect(taken(held)).toBe("new!");
  });

  test("nothing taken from nothing is empty", () => {
    const held = new HeldBytes();
    expect(taken(held)).toBe("");
    held.add(Buffer.from("gone"), 0, 4);
    held.clear();
    expect(held.length).toBe(0);
    expect(taken(held)).toBe("");
    taken(held);
    expect(taken(held)).toBe("");
  });

  test("what is given back is not copied while it is most of the buffer, and a small rest does not keep the buffer", () => {
    const held = new HeldBytes();
    held.add(Buffer.alloc(4096, "a"), 0, 4096);
    const bytes = held.take();
    held.putBack(bytes, 40, 4096);
    expect(held.take()).toBe(bytes);
    held.putBack(bytes, 4000, 4096);
    const rest = held.take();
    expect(rest.length).toBeLessThan(4096);
    expect(Buffer.from(rest.subarray(held.from, held.to)).toString()).toBe("a".repeat(96));
  });

  test("any adds and takes behave as a string does", () => {
    const step = fc.oneof(
      fc.string({ maxLength: 3_000, unit: "binary-ascii" }),
      fc.constantFrom(null, undefined),
      // That many bytes are used up, and the others given back.
      fc.nat(3_000),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const held = new HeldBytes();
        let model = "";
        for (const one of steps) {
          if (one === null) {
            expect(taken(held)).toBe(model);
            model = "";
          } else if (one === undefined) {
            held.clear();
            model = "";
          } else if (typeof one === "number") {
            if (one >= model.length) continue;
            const bytes = held.take();
            held.putBack(bytes, held.from + one, held.to);
            model = model.slice(one);
            expect(held.length).toBe(model.length);
          } else {
            held.add(Buffer.from(one, "latin1"), 0, one.length);
            model += one;
            expect(held.length).toBe(model.length);
          }
        }
        expect(taken(held)).toBe(model);
      }),
    );
  });
});
