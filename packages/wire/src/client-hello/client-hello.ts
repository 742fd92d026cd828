// What a ClientHello says to those who only route it.

/** A ClientHello as it was found; valid once the reader is done. */
export class ClientHello {
  /** The host name asked for, in lower case; "" without one. */
  serverName = "";
  /** Protocols offered by ALPN, in the client's order, one character a byte; empty without the extension. */
  alpn: readonly string[] = [];
  /** Versions offered, as numbers: 0x0304 is TLS 1.3. Without the extension the one of the message itself. */
  versions: readonly number[] = [];
  /**
   * Whether the server name is an outer one: the true name may lie encrypted in this hello (ECH). Browsers send something
   * that looks so to everybody (GREASE), so it is no sign of secrecy.
   */
  ech = false;
  /** The client sends data before the handshake is over. */
  earlyData = false;
}
