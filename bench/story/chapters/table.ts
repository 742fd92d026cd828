import type { Chapter } from "./chapter.ts";
import { faulty } from "./faulty.ts";
import { keepAlive } from "./keep-alive.ts";
import { rollingRestart } from "./rolling-restart.ts";

/** The story, in its order. A new chapter is one file and one line here. */
export const chapters: readonly Chapter[] = [rollingRestart, faulty, keepAlive];
