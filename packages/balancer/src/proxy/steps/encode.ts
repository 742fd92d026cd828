// What a route does with a request besides picking an endpoint: one file a step, compiled once per route, no allocation
// where a route has none. Knows strings, bytes and chance as an argument; not sockets, pools or the exchange.

// Text that becomes part of a target or a Location, made harmless there.

/** Everything but visible ASCII without `"<>\^{|}` and the backtick: what must not stand in a URL as it is (RFC 3986 §2). */
const unsafe = /[^\u0021\u0023-\u003b\u003d\u003f-\u005b\u005d\u005f\u0061-\u007a\u007e]/u;
const allUnsafe = new RegExp(unsafe.source, "gu");

/** Percent-encodes what may not stand in a URL: control characters, spaces, "\", quotes, everything beyond ASCII (as UTF-8). */
export function encodeUnsafe(text: string): string {
  if (!unsafe.test(text)) return text;
  return text.replace(allUnsafe, (character) => {
    let out = "";
    for (const byte of new TextEncoder().encode(character)) {
      out += "%" + (byte < 16 ? "0" : "") + byte.toString(16).toUpperCase();
    }
    return out;
  });
}
