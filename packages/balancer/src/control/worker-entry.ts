// The program of a worker process, as the supervisor starts it.
import { createEngine } from "../proxy/engine.ts";
import { runWorker } from "./worker.ts";

runWorker(createEngine);
