// What this program is, for `version` and the status of a running one.
import manifest from "../package.json" with { type: "json" };

/** Facts printed by `plimsoll version --json`. */
export interface VersionFacts {
  readonly version: string;
  readonly bun: string;
  readonly platform: string;
  readonly arch: string;
}

/** The version of this package and of what runs it. */
export function versionFacts(): VersionFacts {
  return { version: manifest.version, bun: Bun.version, platform: process.platform, arch: process.arch };
}
