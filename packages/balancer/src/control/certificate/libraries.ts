// The libraries that know X.509, loaded when they are used. The decorators in them want a polyfill before they are loaded, and neither
// the runtime nor a bundler keeps the order of two static imports of old-fashioned modules (11 of 41 starts failed): the
// second is asked for when the first is there.

export type X509 = typeof import("@peculiar/x509");
export type AcmeClient = typeof import("acme-client");

export async function loadX509(): Promise<X509> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

export async function loadAcmeClient(): Promise<AcmeClient> {
  await import("reflect-metadata");
  return import("acme-client");
}
