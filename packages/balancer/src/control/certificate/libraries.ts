// The libraries that know X.509, loaded when they are used. The decorators in them want a polyfill before they are loaded, and neither
// the runtime nor a bundler keeps the order of two static imports of old-fashioned modules (11 of 41 starts failed): the
// second is asked for when the first is there.
import type * as Acme from "acme-client";
import type * as PeculiarX509 from "@peculiar/x509";

export type X509 = typeof PeculiarX509;

export async function loadX509(): Promise<X509> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

export async function loadAcmeClient(): Promise<typeof Acme> {
  await import("reflect-metadata");
  return import("acme-client");
}
