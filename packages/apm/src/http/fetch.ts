import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Span } from '@opentelemetry/api';
import { describeAnswer, fail } from './client.js';
import { type ActiveInstrumentation, announce, clientKind, ignores, namesParent } from './instrumentation.js';
import { fullUrl, type HttpRequestFacts, known, methodAttributes, spanName, splitTarget } from './request-facts.js';

/** What undici says of a request: a list of names and values, in old versions one text. */
interface UndiciRequest {
  readonly origin?: string | URL | undefined;
  readonly path: string;
  readonly method: string;
  headers: readonly unknown[] | string;
  addHeader?(name: string, value: string): void;
}

interface Message {
  readonly request: UndiciRequest;
  readonly response?: { readonly statusCode: number };
  readonly error?: unknown;
  readonly socket?: { readonly remoteAddress?: string; readonly remotePort?: number };
}

const created = 'undici:request:create';

/**
 * Makes spans of the requests of `fetch` and undici, which tell of themselves by diagnostics channels.
 *
 * @returns Undoes it.
 */
export function instrumentFetch(instrumentation: ActiveInstrumentation): () => void {
  const spans = new WeakMap<UndiciRequest, Span>();
  let last = false;
  const onCreate = (message: unknown): void => {
    const { request } = message as Message;
    // OpenTelemetry's own instrumentation listens, too. Who comes last sees the headers of who came first, so we see to
    // it that we are last; a request that was on its way before is left to the others.
    const wasLast = last;
    last = goLast();
    if (last && !wasLast) return;
    try {
      const span = begin(instrumentation, request);
      if (span !== undefined) spans.set(request, span);
    } catch {
      // A request that cannot be described goes without a span.
    }
  };
  const goLast = (): boolean => {
    unsubscribe(created, onCreate);
    const others = channel(created).hasSubscribers;
    subscribe(created, onCreate);
    return others;
  };
  const onSend = (message: unknown): void => {
    const { request, socket } = message as Message;
    spans
      .get(request)
      ?.setAttributes(
        known({ 'network.peer.address': socket?.remoteAddress, 'network.peer.port': socket?.remotePort }),
      );
  };
  const onHeaders = (message: unknown): void => {
    const { request, response } = message as Message;
    const span = spans.get(request);
    if (span !== undefined && response !== undefined) describeAnswer(span, response.statusCode, {});
  };
  const onEnd = (message: unknown): void => {
    const { request, error } = message as Message;
    const span = spans.get(request);
    if (span === undefined) return;
    spans.delete(request);
    if (error !== undefined) fail(span, error);
    span.end();
  };
  const channels = [
    ['undici:client:sendHeaders', onSend],
    ['undici:request:headers', onHeaders],
    ['undici:request:trailers', onEnd],
    ['undici:request:error', onEnd],
  ] as const;
  last = goLast();
  for (const [name, listener] of channels) subscribe(name, listener);
  return () => {
    unsubscribe(created, onCreate);
    for (const [name, listener] of channels) unsubscribe(name, listener);
  };
}

function begin(instrumentation: ActiveInstrumentation, request: UndiciRequest): Span | undefined {
  // The tunnel to a proxy is no request of the user's.
  if (!instrumentation.active || request.method === 'CONNECT' || hasParent(request.headers)) return undefined;
  const facts = factsOf(request);
  if (ignores(instrumentation, facts)) return undefined;
  const { apm } = instrumentation;
  const attributes = {
    ...methodAttributes(facts.method),
    ...known({ 'url.full': fullUrl(facts), 'server.address': facts.host, 'server.port': facts.port }),
  };
  return apm.tracer.startActiveSpan(spanName(facts.method), { kind: clientKind, attributes }, (span) => {
    announce(instrumentation, span, facts);
    const added: Record<string, string> = {};
    apm.inject(added);
    const taken = names(request.headers);
    for (const [name, value] of Object.entries(added)) {
      if (taken.includes(name)) continue;
      if (typeof request.addHeader === 'function') request.addHeader(name, value);
      else if (typeof request.headers === 'string') request.headers += `${name}: ${value}\r\n`;
    }
    return span;
  });
}

function factsOf(request: UndiciRequest): HttpRequestFacts {
  const url = new URL(String(request.origin ?? ''));
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  return {
    direction: 'outgoing',
    method: request.method,
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port),
    ...splitTarget(request.path),
  };
}

function hasParent(headers: UndiciRequest['headers']): boolean {
  return names(headers).some(namesParent);
}

function names(headers: UndiciRequest['headers']): readonly string[] {
  const list = typeof headers === 'string' ? headers.split('\r\n').map((line) => line.split(':', 1)[0]) : headers;
  const even = typeof headers === 'string' ? list : list.filter((_, index) => index % 2 === 0);
  return even.map((name) => String(name).toLowerCase());
}
