import { describe, expect, test } from "bun:test";
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { VirtualTime } from "@plimsoll/testbed/virtual-time";
import type { CommandOptions, CommandOutcome } from "../../net/run-command.ts";
import type { Challenge } from "./obtain.ts";
import { hookSolver, HttpAnswers, TlsProofs } from "./solvers.ts";

const challenge: Challenge = { kind: "dns-01", name: "shop.example", token: "token", answer: "value" };

describe("HTTP-01", () => {
  test("an answer is open between present and cleanup, and both are published", async () => {
    const seen: string[] = [];
    const answers = new HttpAnswers((why) => {
      seen.push(`${why}: ${JSON.stringify(answers.all)}`);
      return Promise.resolve("");
    });
    await answers.present(challenge);
    await answers.cleanup(challenge);
    expect(seen).toEqual([
      'the authority will ask for shop.example: [["token","value"]]',
      "the authority has asked for shop.example: []",
    ]);
  });
});

describe("TLS-ALPN-01", () => {
  const asked: Challenge = { kind: "tls-alpn-01", name: "shop.example", token: "token", answer: "token.thumb" };

  test("what the authority wants to see is there between present and cleanup, and both are published", async () => {
    const seen: string[] = [];
    const publish = (why: string) => Promise.resolve((seen.push(`${why}: ${proofs.all.length}`), ""));
    const proofs = new TlsProofs(publish, () => Date.UTC(2026, 0, 1));
    await proofs.present(asked);
    const [proof] = proofs.all;
    await proofs.cleanup(asked);
    await proofs.cleanup(asked);
    expect(seen).toEqual([
      "the authority will look by TLS for shop.example: 1",
      "the authority has looked for shop.example: 0",
    ]);
    const cert = new X509Certificate(proof?.cert ?? "");
    expect([proof?.name, cert.subjectAltName, cert.verify(cert.publicKey)]).toEqual([
      "shop.example",
      "DNS:shop.example",
      true,
    ]);
    expect(cert.checkPrivateKey(createPrivateKey(proof?.key ?? ""))).toBe(true);
    // RFC 8737 §3: id-pe-acmeIdentifier, critical, an octet string of 32 bytes in its octet string.
    const head = "06082b0601050507011f0101ff04220420";
    expect(cert.raw.toString("hex")).toContain(head + createHash("sha256").update("token.thumb").digest("hex"));
  });

  test("when the workers do not take it, the authority is not asked to look", async () => {
    const proofs = new TlsProofs(
      () => Promise.resolve("worker 1 refused"),
      () => 0,
    );
    const [outcome] = await Promise.allSettled([proofs.present(asked)]);
    expect(String(outcome.status === "rejected" && outcome.reason)).toContain("worker 1 refused");
  });
});

describe("a hook", () => {
  const fine: CommandOutcome = { code: 0, signal: "", problem: "", lastLine: "" };

  function stage(outcome: (options: CommandOptions, signal: AbortSignal) => Promise<CommandOutcome>, wait = 0) {
    const time = new VirtualTime();
    const stop = new AbortController();
    const complaints: string[] = [];
    const hook = { command: ["/bin/dns", "-z"], env: { TOKEN: "t" }, timeout: 2_000, wait };
    const complain = (problem: string) => void complaints.push(problem);
    const solver = hookSolver({ hook, runCommand: outcome, timers: time, complain, signal: stop.signal });
    return { time, stop, solver, complaints };
  }

  test("finds what it needs in its arguments and environment", async () => {
    const calls: CommandOptions[] = [];
    const { solver } = stage((options) => Promise.resolve((calls.push(options), fine)));
    await solver.present(challenge);
    await solver.cleanup(challenge);
    expect(calls.map(({ words }) => words)).toEqual([
      ["/bin/dns", "-z", "present"],
      ["/bin/dns", "-z", "cleanup"],
    ]);
    expect(calls[0]?.env).toEqual({
      TOKEN: "t",
      PLIMSOLL_ACME_ACTION: "present",
      PLIMSOLL_ACME_DOMAIN: "shop.example",
      PLIMSOLL_ACME_NAME: "_acme-challenge.shop.example",
      PLIMSOLL_ACME_VALUE: "value",
      PLIMSOLL_ACME_TOKEN: "token",
    });
  });

  test.each([
    [{ ...fine, code: 2, lastLine: "no such zone" }, "/bin/dns present ended with 2; it said: no such zone"],
    [{ ...fine, code: 1 }, "/bin/dns present ended with 1; it printed nothing"],
    [{ ...fine, code: null, signal: "SIGSEGV" }, "/bin/dns present was ended by SIGSEGV; it printed nothing"],
    [{ ...fine, code: null, problem: "not found" }, "/bin/dns present cannot be started: not found"],
  ])("that fails says how: %p", async (outcome, said) => {
    const { solver } = stage(() => Promise.resolve(outcome));
    expect(
      await solver.present(challenge).then(
        () => "",
        (error: Error) => error.message,
      ),
    ).toBe(said);
  });

  test("that takes too long is killed", async () => {
    const { solver, time } = stage((_, signal) => {
      const killed = new Promise<CommandOutcome>((resolve) => {
        signal.addEventListener("abort", () => resolve({ ...fine, code: null, signal: "SIGKILL", lastLine: "asking" }));
      });
      return killed;
    });
    const failed = solver.present(challenge).then(
      () => "",
      (error: Error) => error.message,
    );
    time.advance(2_000);
    expect(await failed).toBe("/bin/dns present was killed after 2000 ms; it said: asking");
    expect(time.pending).toBe(0);
  });

  test("that cannot remove its record is complained of, and nothing else happens", async () => {
    const { solver, complaints } = stage(() => Promise.resolve({ ...fine, code: 1, lastLine: "locked" }));
    await solver.cleanup(challenge);
    expect(complaints).toEqual([
      "the record _acme-challenge.shop.example may be left behind: /bin/dns cleanup ended with 1; it said: locked",
    ]);
  });

  test("is waited for after its end, unless the program stops", async () => {
    const { solver, time, stop } = stage(() => Promise.resolve(fine), 30_000);
    let over = false;
    const presented = solver.present(challenge).then(() => (over = true));
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    expect([over, time.pending]).toEqual([false, 1]);
    time.advance(29_999);
    await Promise.resolve();
    expect(over).toBe(false);
    stop.abort();
    await presented;
    expect(time.pending).toBe(0);
  });
});
