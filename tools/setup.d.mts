/** The first package that is not installed as locked, or undefined when all are. */
export declare function firstStale(lock: object, installed: object): string | undefined;
