import type { Shop } from './shop.js';

/** What a client of the gateway gets. */
export interface ClientAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * One request to the gateway, in a span whose context goes along: the spans of the services hang below it. Done inside
 * another traced piece of work, it belongs to that trace.
 */
export function ask(shop: Shop, method: 'GET' | 'POST', path: string, body?: object): Promise<ClientAnswer> {
  const options = { kind: 'client', attributes: { 'peer.service': 'gateway', 'http.request.method': method } } as const;
  return shop.apm.trace(`${method} gateway`, options, async (span) => {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    shop.apm.inject(headers);
    const response = await fetch(`${await shop.url('gateway')}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(5_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = { status: response.status, body: (await response.json()) as unknown };
    span.setAttribute('http.response.status_code', answer.status);
    if (answer.status >= 400) span.setStatus({ code: 2 });
    return answer;
  });
}
