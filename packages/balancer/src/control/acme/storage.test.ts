import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { FolderLock } from "./lock.ts";
import { AcmeStorage } from "./storage.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "plimsoll-acme-"))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("storage", () => {
  const open = (directory = "https://ca.example/dir"): AcmeStorage => {
    const storage = new AcmeStorage(root, directory);
    storage.open();
    return storage;
  };

  test("what is put is there, also for the next program, readable by its owner only", () => {
    const cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const key = "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n";
    const first = open();
    expect([first.accountKey(), first.pair("a")]).toEqual(["", null]);
    first.putAccountKey("account");
    first.putPair("a", { cert, key });
    first.putTries("a", { failures: 2, notBefore: 5, problem: "no" });
    const next = open();
    expect(next.accountKey()).toBe("account");
    expect(next.pair("a")).toEqual({ cert, key });
    expect(next.tries("a")).toEqual({ failures: 2, notBefore: 5, problem: "no" });
    next.putTries("a", { failures: 0, notBefore: 0, problem: "" });
    expect(readdirSync(join(next.folder, "certificates"))).toEqual(["a.pem"]);
    for (const file of ["account.key", "certificates/a.pem"])
      expect(statSync(join(next.folder, file)).mode & 0o777).toBe(0o600);
    expect(statSync(next.folder).mode & 0o777).toBe(0o700);
  });

  test("each authority has a folder of its own", () => {
    open("https://ca.example/dir").putAccountKey("real");
    expect(open("https://ca.example/staging").accountKey()).toBe("");
    expect(open("https://ca.example:8443/../../etc").folder).toStartWith(root);
  });

  test("tries that cannot be read count as none; what was cut while it was written is swept", () => {
    const storage = open();
    writeFileSync(join(storage.folder, "certificates/a.tries.json"), '{"failures":"x"}');
    writeFileSync(join(storage.folder, "certificates/a.pem.77.part"), "half");
    expect(storage.tries("a")).toEqual({ failures: 0, notBefore: 0, problem: "" });
    storage.sweep();
    expect(readdirSync(join(storage.folder, "certificates"))).toEqual(["a.tries.json"]);
  });
});

describe("the lock", () => {
  const elsewhere = (beat: number, pid = 1) => JSON.stringify({ host: "elsewhere", pid, nonce: "other", beat });

  test("of two one has it, and the other when it is given back", () => {
    const [a, b] = [new FolderLock(root, "a"), new FolderLock(root, "b")];
    expect([a.take(0), b.take(0), a.take(0)]).toEqual([true, false, true]);
    expect(b.holder()).toBe(`process ${process.pid} on ${hostname()}`);
    a.release();
    expect([b.take(1), a.take(1), a.held, b.held]).toEqual([true, false, false, true]);
    b.release();
    expect(readdirSync(root)).toEqual([]);
  });

  test("a holder on another machine is left alone as long as it touches the file, and then replaced", () => {
    const lock = new FolderLock(root, "a");
    for (let beat = 0; beat < 10; beat++) {
      writeFileSync(join(root, "lock"), elsewhere(beat));
      expect(lock.take(beat * 60_000)).toBe(false);
    }
    expect(lock.take(9 * 60_000 + 74_000)).toBe(false);
    expect(lock.take(9 * 60_000 + 76_000)).toBe(true);
  });

  test("a claim that is made anew long after the last one does not look abandoned", () => {
    const [a, b] = [new FolderLock(root, "a"), new FolderLock(root, "b")];
    a.take(0);
    expect(b.take(0)).toBe(false);
    a.release();
    a.take(1_000_000);
    expect(b.take(1_000_000)).toBe(false);
  });

  test("a process of this machine that is gone holds nothing", () => {
    const child = Bun.spawnSync(["true"]);
    writeFileSync(join(root, "lock"), JSON.stringify({ host: hostname(), pid: child.pid, nonce: "dead", beat: 0 }));
    expect(new FolderLock(root, "a").take(0)).toBe(true);
  });

  test("bytes that are no claim are replaced when they stay", () => {
    writeFileSync(join(root, "lock"), "{");
    const lock = new FolderLock(root, "a");
    expect([lock.take(0), lock.take(80_000)]).toEqual([false, true]);
  });

  test("whoever lost it, because it slept too long, notices", () => {
    const [a, b] = [new FolderLock(root, "a"), new FolderLock(root, "b")];
    a.take(0);
    b.take(0);
    expect(b.take(80_000)).toBe(true);
    expect([a.touch(), a.held]).toEqual([false, false]);
    a.release();
    expect(b.touch()).toBe(true);
  });

  test("of many that find it stale at once one gets it", () => {
    writeFileSync(join(root, "lock"), elsewhere(0));
    const locks = Array.from({ length: 8 }, (_, index) => new FolderLock(root, `n${index}`));
    for (const lock of locks) lock.take(0);
    const got = locks.filter((lock) => lock.take(100_000));
    expect(got).toHaveLength(1);
    expect(readdirSync(root)).toEqual(["lock"]);
  });
});
