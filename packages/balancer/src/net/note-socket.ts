// One datagram to a Unix socket: how a service tells its manager what becomes of it (sd_notify).

import { closeFd, errno, errnoName, libc, linux } from "./libc.ts";
import { encodeAddress } from "./socket-address.ts";

/** Sends a text to `path` ("@..." is the abstract namespace). "" or what the system says. */
export function sendNote(path: string, text: string): string {
  const encoded = encodeAddress({ kind: "unix", path });
  if (typeof encoded === "string") return encoded;
  const fd = libc.socket(linux.AF_UNIX, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) return errnoName(errno());
  const { bytes } = encoded;
  const note = Buffer.from(text, "utf8");
  const flags = linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL;
  const sent = Number(libc.sendto(fd, note, note.length, flags, bytes, bytes.length));
  const problem = sent < 0 ? errnoName(errno()) : "";
  closeFd(fd);
  return problem;
}
