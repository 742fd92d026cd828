/**
 * How routing sees a request. Every call may make its string only then, so a table that needs the host alone costs the
 * host alone. A call may be repeated; an implementation keeps what it made.
 */
export interface RequestView {
  /** As received: methods are case-sensitive (RFC 9110 §9.1). */
  method(): string;
  /** Lower case, without port; an IPv6 literal keeps its brackets; "" if the request has none. */
  host(): string;
  /** As received, before "?"; "*" for the asterisk form. */
  path(): string;
  /** First parameter of that name, decoded as forms are (see queryValue); "" if it has no value. */
  query(name: string): string | undefined;
  /** Value without outer white space; several lines of one name joined by ", " (RFC 9110 §5.3). */
  header(lowerName: string): string | undefined;
  /** First cookie of that name, as received (see cookieValue), or the `nth`, counted from 0. */
  cookie(name: string, nth?: number): string | undefined;
  /** The client's address as text, after trusted proxies were taken into account; "" for Unix sockets. */
  source(): string;
  /** Protocols that a TLS client offers; a request has none. */
  alpn?(): readonly string[];
}

/**
 * First parameter called `name` in a query, or undefined. Names and values are decoded the way forms encode them: "+" is
 * a space and "%XX" a byte of UTF-8; what is not valid encoding is left as it stands.
 *
 * @param query Without "?".
 */
export function queryValue(query: string, name: string): string | undefined {
  let from = 0;
  while (from <= query.length) {
    let to = query.indexOf("&", from);
    if (to < 0) to = query.length;
    const equals = query.indexOf("=", from);
    const nameEnd = equals < 0 || equals > to ? to : equals;
    if (nameEnd > from && decodeForm(query.slice(from, nameEnd)) === name) {
      return nameEnd === to ? "" : decodeForm(query.slice(nameEnd + 1, to));
    }
    from = to + 1;
  }
  return undefined;
}

/**
 * First cookie called `name` in the value of a Cookie field, or undefined; with `nth`, that one, counted from 0. Double
 * quotes around a value are dropped.
 */
export function cookieValue(field: string, name: string, nth = 0): string | undefined {
  let from = 0;
  let left = nth;
  while (from < field.length) {
    let to = field.indexOf(";", from);
    if (to < 0) to = field.length;
    const equals = field.indexOf("=", from);
    if (equals >= 0 && equals < to && field.slice(from, equals).trim() === name && left-- === 0) {
      const value = field.slice(equals + 1, to).trim();
      const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
      return quoted ? value.slice(1, -1) : value;
    }
    from = to + 1;
  }
  return undefined;
}

function decodeForm(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced; // not UTF-8, or a lone "%"
  }
}
