import { caddy } from "./caddy.ts";
import { haproxy } from "./haproxy.ts";
import { nginx } from "./nginx.ts";
import { plimsoll } from "./plimsoll.ts";
import type { RivalKind } from "./rival.ts";

/** Who is measured, in the order of the rounds. A new rival is one file and one line here. */
export const rivals: readonly RivalKind[] = [plimsoll, nginx, haproxy, caddy];
