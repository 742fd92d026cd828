import type { Chapter } from "./chapter.ts";
import { drain } from "./drain.ts";
import { faulty } from "./faulty.ts";
import { flapping } from "./flapping.ts";
import { keepAlive } from "./keep-alive.ts";
import { readiness } from "./readiness.ts";
import { rollingRestart } from "./rolling-restart.ts";

/** The story, in its order. A new chapter is one file and one line here. */
export const chapters: readonly Chapter[] = [rollingRestart, readiness, faulty, keepAlive, drain, flapping];
