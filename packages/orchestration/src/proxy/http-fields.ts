/** Fields that belong to one connection and never pass a proxy (RFC 9110, section 7.6.1). */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Names that must reach the next hop whatever `Connection` lists: hiding them would change what the message says. */
const endToEndFields: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'authorization',
  'cookie',
]);

const namePattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Control characters but the tab; text is Latin-1, as the wire is.
const badValuePattern = /[\0-\x08\x0a-\x1f\x7f]/;

/** Whether a text is a field name by RFC 9110. */
export function isFieldName(name: string): boolean {
  return namePattern.test(name);
}

/** Whether a field value may be written to the wire. */
export function isFieldValue(value: string): boolean {
  return !badValuePattern.test(value);
}

/** Whether a field stays on its own connection. */
export function isConnectionField(lowerCaseName: string): boolean {
  return connectionFields.has(lowerCaseName);
}

/** Whether a field says for whom and from where a request was passed on; only proxies may say so. */
export function isForwardingField(lowerCaseName: string): boolean {
  return lowerCaseName === 'forwarded' || lowerCaseName.startsWith('x-forwarded-');
}

/** Names that a `Connection` field lists, in lower case; those that must pass anyway are left out. */
export function listedFields(connection: string | undefined): readonly string[] {
  if (connection === undefined) return [];
  const names: string[] = [];
  for (const part of connection.toLowerCase().split(',')) {
    const name = part.trim();
    if (name !== '' && name !== 'close' && name !== 'keep-alive' && !endToEndFields.has(name)) names.push(name);
  }
  return names;
}

/** Milliseconds that a `Keep-Alive: timeout=5` field promises, or `undefined`. */
export function keepAliveTimeoutMs(value: string): number | undefined {
  const seconds = /(?:^|[,;\s])timeout\s*=\s*(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Whether sending a request twice means the same as sending it once (RFC 9110, section 9.2.2). */
export function isIdempotent(method: string): boolean {
  return idempotentMethods.has(method);
}

/** Path and query of a request target; the absolute form that clients send to forward proxies loses its authority. */
export function originForm(target: string): string {
  if (target.startsWith('/') || target === '*') return target;
  const authority = target.indexOf('://');
  if (authority < 0) return `/${target}`;
  const path = target.slice(authority + 3).search(/[/?]/);
  if (path < 0) return '/';
  const rest = target.slice(authority + 3 + path);
  return rest.startsWith('?') ? `/${rest}` : rest;
}
