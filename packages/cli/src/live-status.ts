// The status of a running balancer, asked for and shown.
import { formatDuration } from "@plimsoll/balancer/src/base/units.ts";
import type { DrainWindow } from "@plimsoll/balancer/src/control/drain-window.ts";
import { counted, type DrainFacts } from "@plimsoll/balancer/src/control/drains.ts";
import type { Status } from "@plimsoll/balancer/src/control/status.ts";
import { sayLadder } from "./ladder-text.ts";
import { adminError, askAdmin } from "./admin-client.ts";
import { CommandError } from "./spec.ts";
import { showHostPort } from "./values.ts";

/** GET /status; a CommandError when it cannot be had. */
export async function askStatus(admin: string): Promise<Status> {
  const answer = await askAdmin(admin, "GET", "/status");
  if (answer.status !== 200) throw new CommandError(adminError(answer));
  return answer.body as Status;
}

/** A table for people. */
export function renderStatus(status: Status): string {
  const serving = status.workers.filter((worker) => worker.serving).length;
  const lines = [
    `plimsoll ${status.version}, process ${status.pid}, ${status.readiness}, up ${span(status.uptime)}; ` +
      `${serving} of ${status.workers.length} workers serve`,
    ...upgradeNote(status.lastUpgrade),
    ...status.workers.flatMap(shortNote),
    "",
    ...table([
      ["LISTENER", "ADDRESS", "OPEN", "REQUESTS"],
      ...status.listeners.map((each) => [each.name, showHostPort(each), each.openConnections, each.requests]),
    ]),
  ];
  // Absent in what an older program tells.
  if ((status.certificates ?? []).length > 0) {
    lines.push(
      "",
      ...table([
        ["CERTIFICATE", "STATE", "UNTIL", "NEXT", "REASON"],
        ...status.certificates.map((each) => [
          each.names.join(", "),
          each.state,
          each.notAfter === 0 ? "-" : day(each.notAfter),
          each.next === 0 ? "now" : day(each.next),
          each.problem,
        ]),
      ]),
    );
  }
  for (const pool of status.pools) {
    lines.push(
      "",
      ...table([
        [`POOL ${pool.name}`, "STATE", "IN FLIGHT", "TUNNELS", "REQUESTS", "FAILURES", "REASON"],
        ...pool.endpoints.map((each) => [
          each.id,
          each.ejection === null ? each.state : "ejected",
          each.inFlight,
          each.tunnels,
          each.requests,
          each.failures,
          (each.ejection?.reason ?? each.reason) + probeNote(each) + ejectionNote(each) + drainNote(each.drain),
        ]),
      ]),
      ...(pool.failsOpen ? ["FAILS OPEN: nobody is ready, so all that were not taken out are asked"] : []),
      `drain window ${windowNote(pool.drain)}`,
      ...hierarchyLines(pool.hierarchy),
    );
  }
  if (status.leaving.length > 0) {
    lines.push(
      "",
      ...table([
        ["LEFT THE CONFIGURATION", "IN FLIGHT", "TUNNELS", "DRAIN"],
        ...status.leaving.map((each) => [
          `${each.pool}/${each.id}`,
          each.exchanges + each.tunnels,
          each.tunnels,
          drainNote(each).slice(2),
        ]),
      ]),
    );
  }
  return `${lines.join("\n")}\n`;
}

/** Whom it took over from, or why nobody took over. */
function upgradeNote(upgrade: Status["lastUpgrade"] | undefined): string[] {
  // The program that is asked may be of a version that told none.
  if (upgrade === null || upgrade === undefined) return [];
  const ago = `${span(Math.max(0, Date.now() - upgrade.at))} ago`;
  if (!upgrade.ok) return [`! the last upgrade failed, ${ago}: ${upgrade.problem.split("\n").join(" | ")}`];
  const { from } = upgrade;
  return from === null ? [] : [`took over from process ${from.pid}, version ${from.version}, ${ago}`];
}

/** A worker that accepts nothing, because its descriptors or the memory are used up. */
function shortNote({ row, shortSince, fullSince }: Status["workers"][number]): string[] {
  const full =
    fullSince > 0
      ? [`! worker ${row} has accepted nothing for ${seconds(Date.now() - fullSince)}: the workers' memory is used up`]
      : [];
  if (!(shortSince > 0)) return full;
  return [
    ...full,
    `! worker ${row} has had no descriptor for new connections for ${seconds(Date.now() - shortSince)}: they wait; ` +
      "raise `ulimit -n` (LimitNOFILE)",
  ];
}

/** "; but its last probe failed: status 503, expected 200-299": what has not changed its state, or not yet. */
function probeNote({ state, probe }: Status["pools"][number]["endpoints"][number]): string {
  if (probe === null || probe.ok === (state === "ready") || (state !== "ready" && state !== "unready")) return "";
  const which = probe.inRow === 1 ? "last probe" : `last ${probe.inRow} probes`;
  return `; but its ${which} ${probe.ok ? "passed" : "failed"}: ${probe.detail}`;
}

/** The ladder on one line, what was observed on another, and where the two do not agree. */
function hierarchyLines({ ladders, more, observed, contradictions }: Status["pools"][number]["hierarchy"]): string[] {
  const { p50, p99, longest, idle } = observed;
  const lines = ladders.slice(0, 3).map((ladder) => {
    const whose = ladder.path.startsWith("pools") ? "" : ` of ${ladder.routes.join(", ")}`;
    return `timeouts${whose}: ${sayLadder(ladder)}`;
  });
  const left = ladders.length - lines.length + more;
  if (left > 0) lines.push(`timeouts of ${left} more routes: with --json`);
  const seen = [
    ...(p50 === null || p99 === null ? [] : [`p50 ${p50} ms, p99 ${p99} ms`]),
    ...(longest === null ? [] : [`longest lately ${longest < 1000 ? `${longest} ms` : formatDuration(longest)}`]),
    ...(idle === null ? [] : [`connections rest ${formatDuration(Math.floor(idle))} at most`]),
  ];
  if (seen.length > 0) lines.push(`observed: ${seen.join("; ")}`);
  return [...lines, ...contradictions.map((each) => `! ${each}`)];
}

/** "; 12s left" while it is ejected, "; warming up, 40 % of its share" after that, and whether it cannot be reached. */
function ejectionNote({
  ejection,
  share,
  state,
  unreachableUntil,
}: Status["pools"][number]["endpoints"][number]): string {
  // Who was taken out has no share to come up to.
  if (state === "draining" || state === "disabled") return "";
  if (ejection !== null) return `; ${seconds(ejection.until - Date.now())} left`;
  if (unreachableUntil > 0)
    return `; connecting to it failed, asked again in ${seconds(unreachableUntil - Date.now())}`;
  return share < 1 ? `; warming up, ${Math.round(share * 100)} % of its share` : "";
}

/** "; empty", "; 12s left", and what was cut. */
function drainNote(drain: DrainFacts | null): string {
  if (drain === null) return "";
  const { exchanges, tunnels } = drain.cut;
  const cut = exchanges + tunnels === 0 ? "" : `, ${counted(exchanges, tunnels)} cut`;
  return `; ${drain.empty ? "empty" : `${seconds(drain.until - Date.now())} left`}${cut}`;
}

/** "30s; longest request seen 400ms", "auto: 5s; longest request seen 400ms". */
function windowNote({ configured, window, longestSeen }: DrainWindow): string {
  const seen =
    longestSeen === 0 ? "no request seen yet" : `longest request seen ${formatDuration(Math.ceil(longestSeen))}`;
  return `${configured === "auto" ? "auto: " : ""}${formatDuration(window)}; ${seen}`;
}

/** "2026-11-27 23:02". */
function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

/** Whole seconds of a time in ms, as the configuration writes them. */
export function seconds(ms: number): string {
  return formatDuration(Math.max(0, Math.round(ms / 1000)) * 1000);
}

/** Columns as wide as they need to be; numbers to the right. */
function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...rows.map((row) => String(row[at] ?? "").length)),
  );
  const numeric = widths.map((_, at) => rows.length > 1 && rows.slice(1).every((row) => typeof row[at] === "number"));
  return rows.map((row) =>
    row
      .map((cell, at) =>
        numeric[at] === true ? String(cell).padStart(widths[at] ?? 0) : String(cell).padEnd(widths[at] ?? 0),
      )
      .join("   ")
      .trimEnd(),
  );
}

/** "3 d 4 h", "2 h 5 min", "40 s". */
function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
