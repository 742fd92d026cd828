// Whether the settings of one pool fit together.
import { formatDuration } from "../../base/units.ts";
import type { Meant } from "./meant.ts";
import { defaultExpect } from "../defaults.ts";
import { probeOf } from "../plan-pools.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";
import { slowRegex } from "../regex-guard.ts";
import type { PoolConfig } from "../schema/pools.ts";
import { checkSticky, checkStickyNames } from "./sticky.ts";

export function checkPools(meant: Meant): Finding[] {
  const { config } = meant;
  const findings = Object.entries(config.pools).flatMap(([name, pool]) => {
    const path = ["pools", name];
    return [
      ...checkEndpoints(pool, path),
      ...checkReadiness(pool, path),
      ...checkHashKey(pool, path),
      ...checkLimits(pool, path),
      ...checkSticky(pool, path),
    ];
  });
  return [...findings, ...checkStickyNames(meant)];
}

function checkEndpoints(pool: PoolConfig, path: Path): Finding[] {
  const findings: Finding[] = [];
  const first = new Map<string, number>();
  for (const [index, { address }] of pool.endpoints.entries()) {
    // The same place under two names ("localhost:3000", "127.0.0.1:3000") is still one instance.
    const place = JSON.stringify(address.kind === "address" ? address.address : address.id);
    const earlier = first.get(place);
    if (earlier === undefined) first.set(place, index);
    else {
      const hint = "remove one; for a larger part of the work, give it a weight";
      const finding = error([...path, "endpoints", index], "this endpoint is in the pool already: {other}", hint);
      findings.push({ ...finding, other: [...path, "endpoints", earlier] });
    }
  }
  if (pool.endpoints.length > 0 && pool.endpoints.every(({ weight }) => weight === 0)) {
    findings.push(
      error(
        [...path, "endpoints"],
        "every endpoint has weight 0: none would get any work",
        "give at least one a weight above 0",
      ),
    );
  } else if (pool.endpoints.length > 0 && pool.endpoints.every(({ backup }) => backup)) {
    findings.push(
      warning(
        [...path, "endpoints"],
        "every endpoint is a backup, so there is nothing to back up",
        "remove `backup` from those that should work",
      ),
    );
  }
  return findings;
}

function checkReadiness({ readiness }: PoolConfig, pool: Path): Finding[] {
  const findings: Finding[] = [];
  const path = [...pool, "readiness"];
  const probe = probeOf(readiness);
  if (readiness.timeout > readiness.interval) {
    const [timeout, interval] = [formatDuration(readiness.timeout), formatDuration(readiness.interval)];
    findings.push(
      error(
        [...path, "timeout"],
        `the timeout (${timeout}) is longer than the interval (${interval}): probes would pile up`,
        `write ${interval} or less, or a longer interval`,
      ),
    );
  }
  if (readiness.fastInterval !== undefined && readiness.fastInterval > readiness.interval) {
    const interval = formatDuration(readiness.interval);
    findings.push(
      error(
        [...path, "fastInterval"],
        `${formatDuration(readiness.fastInterval)} is slower than the interval (${interval})`,
        `write ${interval} or less`,
      ),
    );
  }
  if (probe === "http") {
    for (const [index, range] of (readiness.drainOn ?? []).entries()) {
      const both = (readiness.expect ?? defaultExpect).some(([low, high]) => low <= range[1] && range[0] <= high);
      if (!both) continue;
      const hint = "leave it to one of the two";
      const finding = error([...path, "drainOn", index], "this status means ready as well", hint);
      findings.push(finding);
    }
    if (readiness.body !== undefined && readiness.method === "HEAD") {
      findings.push(error([...path, "body"], "the answer to HEAD has no body", "write method: GET, or remove body"));
    }
    const slow = readiness.body === undefined ? null : slowRegex(readiness.body.matches);
    if (slow !== null) findings.push(warning([...path, "body"], slow, "write it without the outer repetition"));
  }
  if (probe === "command" && readiness.command === undefined) {
    findings.push(error(path, "a probe by command needs a command", "write command: [/path/of/program, argument]"));
  }
  findings.push(...checkScript(readiness, probe, path));
  for (const [key, kind] of [
    ["script", "script"],
    ["tls", "tls"],
    ["command", "command"],
    ["env", "command"],
  ] as const) {
    if (readiness[key] === undefined || probe === kind) continue;
    findings.push(
      error([...path, key], `"${key}" has no meaning with probe: ${probe}`, `remove ${key}, or write probe: ${kind}`),
    );
  }
  if (probe === "http" && readiness.path === undefined) {
    findings.push(error(path, "an http probe needs a path", "write readiness: { path: /readyz }"));
  }
  if (probe !== "http") {
    for (const key of ["path", "method", "host", "headers", "expect", "body", "drainOn"] as const) {
      if (readiness[key] === undefined) continue;
      const why =
        readiness.probe === undefined
          ? "needs a `path`: without one, the probe is only a connection"
          : `has no meaning with probe: ${probe}`;
      findings.push(
        error(
          [...path, key],
          `"${key}" ${why}`,
          readiness.probe === undefined ? "add path: /readyz" : `remove ${key}, or write probe: http`,
        ),
      );
    }
  }
  return findings;
}

/** Probes that say who they are, and what of it each has a use for. */
const logins: Readonly<Record<string, readonly string[]>> = {
  postgres: ["user", "database"],
  redis: ["user", "password"],
  mysql: ["user"],
};

function checkScript({ script, login }: PoolConfig["readiness"], probe: string, path: Path): Finding[] {
  const findings: Finding[] = [];
  if (probe === "script" && script === undefined) {
    const hint = 'write script: [{ send: "PING\\r\\n" }, { expect: "+PONG" }]';
    findings.push(error(path, "a probe by script needs a script", hint));
  }
  for (const [index, step] of (script ?? []).entries()) {
    const said = Object.entries(step).filter(([, value]) => value !== undefined);
    if (said.length !== 1) {
      const wrong = said.length === 0 ? "this step does nothing" : "a step does one thing, and this one does several";
      const hint = "write one of send, sendHex, expect, expectHex, matches";
      findings.push(error([...path, "script", index], wrong, hint));
    }
    const slow = step.matches === undefined ? null : slowRegex(step.matches);
    if (slow !== null)
      findings.push(warning([...path, "script", index, "matches"], slow, "write it without the outer repetition"));
  }
  if (script !== undefined && script.every(({ send, sendHex }) => send !== undefined || sendHex !== undefined)) {
    const message = "nothing is expected, so whoever accepts a connection is ready";
    findings.push(warning([...path, "script"], message, "add a step with expect, or write probe: tcp"));
  }
  for (const [key, value] of Object.entries(login ?? {})) {
    if (value === undefined || logins[probe]?.includes(key) === true) continue;
    const users = Object.keys(logins).filter((name) => logins[name]?.includes(key) === true);
    findings.push(
      error(
        [...path, "login", key],
        `"${key}" has no meaning with probe: ${probe}`,
        `remove it; it is for ${users.join(" and ")}`,
      ),
    );
  }
  if (probe === "redis" && login?.user !== undefined && login.password === undefined) {
    findings.push(error([...path, "login", "user"], "a user without a password cannot log in", "add password"));
  }
  return findings;
}

function checkHashKey({ balance, hashKey }: PoolConfig, pool: Path): Finding[] {
  if (hashKey === undefined) return [];
  const path = [...pool, "hashKey"];
  const chosen = Object.values(hashKey).filter((value) => value !== undefined).length;
  if (chosen !== 1) {
    const wrong = chosen === 0 ? "nothing is chosen" : "one thing can be hashed, and several are chosen";
    return [error(path, wrong, "write one of: { header: name }, { cookie: name }, { query: name }, source, path")];
  }
  if (balance === "ringHash" || balance === "maglev") return [];
  const finding = warning(
    path,
    `balance: ${balance} hashes nothing, so this has no effect`,
    "write balance: ringHash or maglev, or remove hashKey",
  );
  return [{ ...finding, depends: [[...pool, "balance"]] }];
}

/** Settings that are not what they are by default, and still do nothing. */
function checkLimits({ balance, hashBalance, limits }: PoolConfig, pool: Path): Finding[] {
  const findings: Finding[] = [];
  if (limits.inFlight === 0 && (limits.queue !== 100 || limits.queueTimeout !== 1000)) {
    const message = "nothing ever waits while inFlight is 0, so the queue's settings have no effect";
    findings.push(warning([...pool, "limits"], message, "set inFlight, or remove queue and queueTimeout"));
  }
  if (balance !== "ringHash" && hashBalance !== 1.25) {
    const finding = warning(
      [...pool, "hashBalance"],
      `balance: ${balance} has no bound of this kind, so this has no effect`,
      "write balance: ringHash, or remove it",
    );
    findings.push({ ...finding, depends: [[...pool, "balance"]] });
  }
  return findings;
}
