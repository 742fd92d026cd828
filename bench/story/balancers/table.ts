import type { StoryBalancer } from "./balancer.ts";
import { haproxy } from "./haproxy.ts";
import { nginx } from "./nginx.ts";
import { plimsoll } from "./plimsoll.ts";

/** Who is in the story, in the order of the columns. */
export const balancers: readonly StoryBalancer[] = [plimsoll, nginx, haproxy];
