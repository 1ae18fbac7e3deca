/** A value that travels with a request, and its properties as text (`ttl=30;secret`). */
export interface BaggageItem {
  readonly value: string;
  readonly properties?: string | undefined;
}

const maxItems = 64;
const maxBytes = 8_192;
const maxItemBytes = 4_096;
/** Characters of headers that are looked at, so that a hostile one costs nothing. */
const maxReadCharacters = 65_536;
/** Name of a header, and so of what is sent in a header of its own. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** OpenTelemetry's SDKs send names with parentheses, which no token has. */
const readableKey = /^[\x21-\x7e]+$/;
const propertiesForm = /^[\t\x20\x21\x23-\x2b\x2d-\x7e]+$/;
const loneSurrogates = /\p{Surrogate}/gu;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Reads W3C `baggage`: at most 64 items, 8,192 bytes, 4,096 for one of them; what is over that, or malformed, is left
 * out. Of two items with one name the later is kept. Never throws.
 *
 * @param value - The header, or several, which belong together.
 */
export function readBaggage(value: unknown): ReadonlyMap<string, BaggageItem> {
  const items = new Map<string, BaggageItem>();
  const text = Array.isArray(value) ? value.filter((part) => typeof part === 'string').join(',') : value;
  if (typeof text !== 'string' || text.length > maxReadCharacters) return items;
  let bytes = 0;
  for (const member of text.split(',')) {
    const size = member.length;
    if (size > maxItemBytes || bytes + size > maxBytes) continue;
    const [pair = '', ...properties] = member.split(';');
    const separator = pair.indexOf('=');
    const key = pair.slice(0, Math.max(0, separator)).trim();
    if (!readableKey.test(key)) continue;
    const rest = properties.join(';').trim();
    items.set(decoded(key), {
      value: decoded(pair.slice(separator + 1).trim()),
      ...(propertiesForm.test(rest) ? { properties: rest } : {}),
    });
    bytes += size + 1;
    if (items.size >= maxItems) break;
  }
  return items;
}

/** The `baggage` header for items, within the same bounds; empty when there is nothing to send. */
export function baggageText(items: Iterable<readonly [string, BaggageItem]>): string {
  let text = '';
  let count = 0;
  for (const [key, { value, properties }] of items) {
    if (count >= maxItems) break;
    if (key === '') continue;
    const rest = properties !== undefined && propertiesForm.test(properties) ? `;${properties}` : '';
    const member = `${encodedKey(key)}=${encoded(value)}${rest}`;
    const longer = text === '' ? member : `${text},${member}`;
    if (member.length > maxItemBytes || longer.length > maxBytes) continue;
    text = longer;
    count += 1;
  }
  return text;
}

const jaegerPrefix = 'uberctx-';

/** Reads the headers `uberctx-<name>` of Jaeger's clients, and `jaeger-baggage`, within the bounds of `baggage`. */
export function readJaegerBaggage(
  names: readonly string[],
  header: (name: string) => unknown,
): ReadonlyMap<string, BaggageItem> {
  const pairs: string[] = [];
  for (const name of names) {
    if (!name.toLowerCase().startsWith(jaegerPrefix) || name.length === jaegerPrefix.length) continue;
    const value = [header(name)].flat().at(0);
    if (typeof value !== 'string' || value.length > maxItemBytes) continue;
    pairs.push(`${name.slice(jaegerPrefix.length)}=${value.replace(/[,;]/g, encodeURIComponent)}`);
    if (pairs.length >= maxItems) break;
  }
  return readBaggage([...pairs, ...[header('jaeger-baggage')].flat()]);
}

/** The headers `uberctx-<name>` for items whose names can be names of headers. */
export function jaegerBaggage(
  items: Iterable<readonly [string, BaggageItem]>,
): readonly (readonly [name: string, value: string])[] {
  const headers: (readonly [string, string])[] = [];
  let bytes = 0;
  for (const [key, { value }] of items) {
    const pair = [`${jaegerPrefix}${key}`, encoded(value)] as const;
    const size = pair[0].length + pair[1].length;
    if (!token.test(key) || size > maxItemBytes || bytes + size > maxBytes) continue;
    bytes += size;
    headers.push(pair);
    if (headers.length >= maxItems) break;
  }
  return headers;
}

function encodedKey(key: string): string {
  return encoded(key).replaceAll('(', '%28').replaceAll(')', '%29');
}

function encoded(text: unknown): string {
  return encodeURIComponent(String(text).replace(loneSurrogates, '\ufffd'));
}

/** Percent-decodes; bytes that are no UTF-8 become U+FFFD, as the standard says, and a lone `%` stays. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decoder.decode(Buffer.from(run.replaceAll('%', ''), 'hex')));
}
