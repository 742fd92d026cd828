// `import { defineConfig } from "plimsoll/config"`: what a configuration written in TypeScript may import.
export { defineConfig, type ConfigInput } from "@plimsoll/balancer/config";
