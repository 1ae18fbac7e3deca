import type { TextMapGetter, TextMapSetter } from '@opentelemetry/api';

/** Headers as Node's HTTP server gives them; names in any case. */
export type IncomingHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `Headers` of `fetch`, or a `Map`. */
export interface WebHeaders {
  get(name: string): string | null | undefined;
  set(name: string, value: string): unknown;
  keys(): Iterable<string>;
}

/**
 * Headers in every form that a request of Node or of `fetch` has: by name, a `Headers` or `Map`, names and values in turn
 * (`rawHeaders`), or pairs of them.
 */
export type HeaderCarrier =
  | IncomingHeaders
  | Pick<WebHeaders, 'get' | 'keys'>
  | readonly string[]
  | readonly (readonly string[])[];

/** Headers that can be written, in the same forms. An empty list becomes one of pairs. */
export type HeaderTarget =
  | Record<string, string | number | readonly string[] | undefined>
  | WebHeaders
  | (string | number | readonly string[])[];

type Value = string | string[] | undefined;

/** Reads headers of every form by names in lower case. Of a name that is there more than once, every value. */
export const headerGetter: TextMapGetter<HeaderCarrier> = {
  get(carrier, name) {
    if (typeof carrier !== 'object' || carrier === null) return undefined;
    if (Array.isArray(carrier)) return listed(carrier, name);
    if (isWebHeaders(carrier))
      return carrier.get(name) ?? single(webKeys(carrier, name).map((key) => carrier.get(key)));
    const headers = carrier as Readonly<Record<string, Value>>;
    const value = headers[name];
    if (value !== undefined) return value;
    return single(sameNames(Object.keys(headers), name).flatMap((key) => headers[key]));
  },
  keys(carrier) {
    if (typeof carrier !== 'object' || carrier === null) return [];
    if (Array.isArray(carrier)) return namesOf(carrier);
    return isWebHeaders(carrier) ? [...carrier.keys()] : Object.keys(carrier);
  },
};

/** Writes headers of every form. A header that is there in another case is replaced: two would be none. */
export const headerSetter: TextMapSetter<HeaderTarget> = {
  set(carrier, name, value) {
    if (Array.isArray(carrier)) {
      setListed(carrier, name, value);
    } else if (isWebHeaders(carrier)) {
      for (const key of webKeys(carrier, name)) (carrier as { delete?(key: string): unknown }).delete?.(key);
      carrier.set(name, value);
    } else {
      for (const key of sameNames(Object.keys(carrier), name)) if (key !== name) delete carrier[key];
      carrier[name] = value;
    }
  },
};

function isWebHeaders(carrier: object): carrier is WebHeaders {
  const { get, keys } = carrier as Partial<Readonly<Record<keyof WebHeaders, unknown>>>;
  return typeof get === 'function' && typeof keys === 'function';
}

/** A `Headers` knows a name in any case, a `Map` only as it is. */
function webKeys(carrier: WebHeaders, name: string): string[] {
  return sameNames([...carrier.keys()], name);
}

function sameNames(names: readonly string[], name: string): string[] {
  return names.filter((key) => isSame(key, name));
}

function isSame(given: unknown, name: string): boolean {
  return typeof given === 'string' && given.length === name.length && given.toLowerCase() === name;
}

function isPaired(list: readonly unknown[]): list is readonly (readonly unknown[])[] {
  return Array.isArray(list[0]);
}

function namesOf(list: readonly unknown[]): string[] {
  const names = isPaired(list) ? list.map((pair) => pair?.[0]) : list.filter((_, index) => index % 2 === 0);
  return names.filter((name) => typeof name === 'string');
}

function listed(list: readonly unknown[], name: string): Value {
  const values = isPaired(list)
    ? list.filter((pair) => isSame(pair?.[0], name)).map((pair) => pair[1])
    : list.filter((_, index) => index % 2 === 1 && isSame(list[index - 1], name));
  return single(values.flat());
}

function setListed(list: unknown[], name: string, value: string): void {
  // From behind, so that what is taken out moves nothing that is still to come.
  if (list.length === 0 || isPaired(list)) {
    for (let at = list.length - 1; at >= 0; at -= 1) if (isSame((list[at] as unknown[])?.[0], name)) list.splice(at, 1);
    list.push([name, value]);
    return;
  }
  for (let at = list.length - 2; at >= 0; at -= 2) if (isSame(list[at], name)) list.splice(at, 2);
  list.push(name, value);
}

function single(values: readonly unknown[]): Value {
  const texts = values.filter((value) => typeof value === 'string');
  return texts.length > 1 ? texts : texts[0];
}
