import type { Attributes } from '@opentelemetry/api';

/** What is known of a request before it is answered. */
export interface HttpRequestFacts {
  readonly direction: 'incoming' | 'outgoing';
  /** As it was sent. */
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Host name without the port; of an incoming request what its header says. */
  readonly host: string;
  readonly port?: number | undefined;
  /** Path without the query. */
  readonly path: string;
  /** Query without the question mark, secrets taken out; empty when there is none. */
  readonly query: string;
}

/** Methods that may stand in names and attributes; any other is `_OTHER`, so that a client cannot make up names. */
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);
const other = '_OTHER';
/** Names of query parameters whose values are secrets: of signed URLs, of sign-in, of keys. */
const secretNames =
  /^(?:sig|code|state|key|auth|awsaccesskeyid)$|token|secret|passw|pwd|api[-_]?key|signature|credential|session|authorization|jwt|otp/i;
const replacement = 'REDACTED';

/** Name of a span: the route where one is known, never the path, which has no end of values. */
export function spanName(method: string, route?: string): string {
  const verb = methods.has(method) ? method : 'HTTP';
  return route === undefined ? verb : `${verb} ${route}`;
}

/** Attributes of a request's method, by OpenTelemetry's conventions. */
export function methodAttributes(method: string): Attributes {
  if (methods.has(method)) return { 'http.request.method': method };
  return { 'http.request.method': other, 'http.request.method_original': method.slice(0, 64) };
}

/** A query with the values of secret parameters replaced. */
export function redactedQuery(query: string): string {
  if (query === '') return query;
  return query
    .split('&')
    .map((pair) => {
      const separator = pair.indexOf('=');
      if (separator < 0) return pair;
      const name = pair.slice(0, separator);
      return secretNames.test(plain(name)) ? `${name}=${replacement}` : pair;
    })
    .join('&');
}

/** Parts a path with a query. Takes the form with a host, too, which proxies are sent. */
export function splitTarget(target: string): { path: string; query: string } {
  const withoutFragment = target.split('#', 1)[0] ?? '';
  const local = withoutFragment.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '');
  const mark = local.indexOf('?');
  const path = mark < 0 ? local : local.slice(0, mark);
  return { path: path === '' ? '/' : path, query: mark < 0 ? '' : redactedQuery(local.slice(mark + 1)) };
}

/** Parts `host:port`, also of an address of IPv6 in brackets. */
export function splitHost(text: string): { host: string; port: number | undefined } {
  const [, host = '', digits = ''] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text.trim()) ?? [];
  return { host: host.replace(/^\[|\]$/g, ''), port: digits === '' ? undefined : Number(digits) };
}

/** The whole address without user and password. */
export function fullUrl({ scheme, host, port, path, query }: HttpRequestFacts): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const usual = port === undefined || port === (scheme === 'https' ? 443 : 80);
  return `${scheme}://${name}${usual ? '' : `:${port}`}${path}${query === '' ? '' : `?${query}`}`;
}

/** Leaves out what is not known. */
export function known(attributes: Readonly<Record<string, string | number | undefined>>): Attributes {
  const some: Attributes = {};
  // A loop, because this runs three times for each request that is passed on.
  for (const name of Object.keys(attributes)) {
    const value = attributes[name];
    if (value !== undefined && value !== '') some[name] = value;
  }
  return some;
}

/** What went wrong in one word: the code of an error, else its name. */
export function errorType(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string' && code !== '') return code;
  return typeof name === 'string' && name !== '' ? name : other;
}

function plain(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
