import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { urlToHttpOptions } from 'node:url';
import type { Attributes, Span } from '@opentelemetry/api';
import { type HeaderCarrier, headerGetter } from '../propagation/carrier.js';
import {
  type ActiveInstrumentation,
  announce,
  clientKind,
  errorStatus,
  ignores,
  isOfficial,
  layOver,
  namesParent,
  watchEvents,
  withoutDeadLayers,
} from './instrumentation.js';
import {
  errorType,
  fullUrl,
  type HttpRequestFacts,
  known,
  methodAttributes,
  spanName,
  splitTarget,
} from './request-facts.js';

type Send = (...parameters: unknown[]) => ClientRequest;
interface ClientModule {
  request: Send;
  get: Send;
}

/**
 * Makes spans of the requests of `node:http` and `node:https`, and writes the trace headers into them. The functions are
 * replaced, because headers that are given as a list, or with `Expect: 100-continue`, are on their way before anything
 * else hears of a request.
 *
 * @returns Undoes it.
 */
export function instrumentClients(instrumentation: ActiveInstrumentation): () => void {
  const undo = (['http', 'https'] as const).map((scheme) => {
    const target = (scheme === 'http' ? http : https) as unknown as ClientModule;
    const request = withoutDeadLayers(target.request);
    const get = withoutDeadLayers(target.get);
    const traced = (...parameters: unknown[]): ClientRequest => {
      if (!instrumentation.active || isOfficial(target.request) || isOfficial(request)) {
        return Reflect.apply(request, target, parameters);
      }
      return send(instrumentation, scheme, (given) => Reflect.apply(request, target, given), parameters);
    };
    const got = (...parameters: unknown[]): ClientRequest => {
      if (!instrumentation.active || isOfficial(target.get) || isOfficial(get)) {
        return Reflect.apply(get, target, parameters);
      }
      // Node's own `get` calls its own `request`, which is not the one above.
      const sent = traced(...parameters);
      sent.end();
      return sent;
    };
    const undone = [layOver(traced, request), layOver(got, get)];
    target.request = named('request', traced);
    target.get = named('get', got);
    return () => {
      for (const one of undone) one();
      // Somebody else's layer on top stays, and leads through ours.
      target.request = withoutDeadLayers(target.request);
      target.get = withoutDeadLayers(target.get);
    };
  });
  syncBuiltinESMExports();
  return () => {
    for (const one of undo) one();
    syncBuiltinESMExports();
  };
}

function named(name: string, send: Send): Send {
  return Object.defineProperty(send, 'name', { value: name });
}

function send(
  instrumentation: ActiveInstrumentation,
  scheme: 'http' | 'https',
  original: (parameters: readonly unknown[]) => ClientRequest,
  parameters: readonly unknown[],
): ClientRequest {
  let begun: Begun | undefined;
  try {
    begun = begin(instrumentation, scheme, parameters);
  } catch {
    // What cannot be read here is for Node to refuse, in its own words.
  }
  if (begun === undefined) return original(parameters);
  const { span } = begun;
  try {
    const request = original(begun.parameters);
    watch(request, span);
    return request;
  } catch (error) {
    fail(span, error);
    span.end();
    throw error;
  }
}

interface Begun {
  readonly span: Span;
  readonly parameters: readonly unknown[];
}

function begin(
  instrumentation: ActiveInstrumentation,
  scheme: 'http' | 'https',
  parameters: readonly unknown[],
): Begun | undefined {
  const { options, listener } = readParameters(parameters);
  const { headers } = options;
  if (headerGetter.keys(headers as HeaderCarrier).some(namesParent)) return undefined;
  const facts = outgoingFacts(options, scheme);
  if (ignores(instrumentation, facts)) return undefined;
  const { apm } = instrumentation;
  // Ours is active only while its headers are written: what follows the answer is not part of this request.
  return apm.tracer.startActiveSpan(
    spanName(facts.method),
    { kind: clientKind, attributes: outgoingAttributes(facts) },
    (span) => {
      announce(instrumentation, span, facts);
      const added: Record<string, string> = {};
      apm.inject(added);
      const merged = { ...options, headers: withHeaders(headers, added) };
      return { span, parameters: listener === undefined ? [merged] : [merged, listener] };
    },
  );
}

type Headers = RequestOptions['headers'] | readonly (readonly [string, string])[];

/** One set of options of all forms that Node takes: `(url, options, listener)`, each of them optional. */
function readParameters(parameters: readonly unknown[]): {
  options: RequestOptions & { query?: unknown };
  listener: unknown;
} {
  const rest = [...parameters];
  let options: RequestOptions = {};
  const [first] = rest;
  if (typeof first === 'string' || first instanceof URL) {
    rest.shift();
    options = urlToHttpOptions(typeof first === 'string' ? new URL(first) : first) as RequestOptions;
  }
  if (typeof rest[0] !== 'function') Object.assign(options, rest.shift());
  return { options, listener: rest[0] };
}

/** The headers with ours, in the form that they had; where the caller has one of ours, his stays. */
function withHeaders(headers: Headers, added: Readonly<Record<string, string>>): RequestOptions['headers'] {
  const taken = new Set(headerGetter.keys(headers as HeaderCarrier).map((name) => name.toLowerCase()));
  const ours = Object.entries(added).filter(([name]) => !taken.has(name));
  if (!Array.isArray(headers))
    return { ...(headers as RequestOptions['headers']), ...Object.fromEntries(ours) } as RequestOptions['headers'];
  const list: readonly unknown[] = headers;
  return [...list, ...(Array.isArray(list[0]) ? ours : ours.flat())] as string[];
}

function outgoingFacts(options: RequestOptions, fallback: 'http' | 'https'): HttpRequestFacts {
  const agent = options.agent as { protocol?: string } | undefined;
  const scheme = (options.protocol ?? agent?.protocol ?? `${fallback}:`) === 'https:' ? 'https' : 'http';
  const port = options.port ?? options.defaultPort;
  return {
    direction: 'outgoing',
    method: String(options.method ?? 'GET').toUpperCase(),
    scheme,
    host: String(options.hostname || options.host || 'localhost').replace(/^\[|\]$/g, ''),
    port: port === undefined || port === null || port === '' ? (scheme === 'https' ? 443 : 80) : Number(port),
    ...splitTarget(options.path ?? '/'),
  };
}

function outgoingAttributes(facts: HttpRequestFacts): Attributes {
  return {
    ...methodAttributes(facts.method),
    ...known({ 'url.full': fullUrl(facts), 'server.address': facts.host, 'server.port': facts.port }),
  };
}

function watch(request: ClientRequest, span: Span): void {
  let open = true;
  const end = (): void => {
    if (!open) return;
    open = false;
    span.end();
  };
  const answered = (response: IncomingMessage): void => {
    const { statusCode = 0, httpVersion, socket } = response;
    const { remoteAddress, remotePort } = socket ?? {};
    describeAnswer(span, statusCode, {
      'network.protocol.version': httpVersion,
      'network.peer.address': remoteAddress,
      'network.peer.port': remotePort,
    });
  };
  watchEvents(request, (event, [value], pass) => {
    if (event === 'response') {
      const response = value as IncomingMessage;
      answered(response);
      watchEvents(response, (happened, [error], goOn) => {
        if (happened === 'error' || happened === 'aborted') fail(span, error ?? { code: 'ECONNRESET' });
        if (happened === 'end' || happened === 'close') end();
        return goOn();
      });
    } else if (event === 'upgrade' || event === 'connect') {
      answered(value as IncomingMessage);
      end();
    } else if (event === 'error') {
      if (open) fail(span, value);
      end();
    } else if (event === 'close') end();
    return pass();
  });
}

/** Says how a request was answered; from 400 on the client has failed. */
export function describeAnswer(
  span: Span,
  status: number,
  attributes: Readonly<Record<string, string | number | undefined>>,
): void {
  span.setAttributes(known({ ...attributes, 'http.response.status_code': status }));
  if (status < 400) return;
  span.setAttribute('error.type', String(status));
  span.setStatus({ code: errorStatus });
}

/** Says that a request ended without a whole answer. Messages may quote addresses, so only the kind is kept. */
export function fail(span: Span, error: unknown): void {
  span.setAttribute('error.type', errorType(error));
  span.setStatus({ code: errorStatus, message: errorType(error) });
}
