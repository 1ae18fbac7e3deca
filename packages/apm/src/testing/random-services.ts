import type { Span } from '@mnops/core/spi';
import { normal, randomOf } from './random.js';
import { spanOf } from './spans.js';

/** Services that call each other at random, always in the same way for one seed. */
export interface RandomServices {
  readonly seed: number;
  readonly requests: number;
  readonly startMs: number;
  /** Other requests of the same services. */
  readonly stretch: number;
  /** Number of the service that is slow, or fails, and by how much. */
  readonly fault?:
    | { readonly service: number; readonly addMs?: number | undefined; readonly failShare?: number | undefined }
    | undefined;
  /** Milliseconds that the clock of a service may be wrong by, either way. */
  readonly skewMs?: number | undefined;
}

interface Service {
  readonly name: string;
  readonly ownMs: number;
  readonly skew: number;
  /** Numbers of those that it calls, always greater than its own, and how often it does. */
  readonly calls: readonly { readonly to: number; readonly chance: number }[];
}

function servicesOf(seed: number): Service[] {
  const random = randomOf(seed);
  const count = 3 + Math.floor(random() * 10);
  const callers = Array.from({ length: count }, (_, index) => Math.floor(random() * index));
  return Array.from({ length: count }, (_, index) => {
    const own = callers.flatMap((caller, to) =>
      to > 0 && caller === index ? [{ to, chance: 0.6 + 0.4 * random() }] : [],
    );
    const other = index + 1 + Math.floor(random() * 4);
    const isCalled = own.some(({ to }) => to === other);
    const more = random() < 0.3 && other < count && !isCalled ? [{ to: other, chance: 0.3 + 0.7 * random() }] : [];
    return { name: `s${index}`, ownMs: 1 + 9 * random(), skew: 2 * random() - 1, calls: [...own, ...more] };
  });
}

/** How many services a seed has. The first of them answers requests. */
export function serviceCount(seed: number): number {
  return servicesOf(seed).length;
}

/** Traces of requests, 50 ms apart. Each service calls those below it one after the other; failures mostly pass upwards. */
export function randomTraces(traffic: RandomServices): Span[] {
  const { seed, requests, startMs, stretch, fault, skewMs = 0 } = traffic;
  const services = servicesOf(seed);
  const random = randomOf(seed * 1_000 + stretch);
  const spans: Span[] = [];
  let last = 0;
  const idOf = (kind: string): string => {
    last += 1;
    return `${stretch}${kind}${last}`;
  };
  const serve = (index: number, trace: string, beginMs: number, parent: string | undefined): [number, boolean] => {
    const { name, ownMs, skew, calls } = services[index] as Service;
    const own = fault?.service === index ? fault : undefined;
    const id = idOf('a');
    let nowMs = beginMs + ownMs * Math.exp(0.5 * normal(random)) + (own?.addMs ?? 0);
    let failed = random() < (own?.failShare ?? 0.002);
    for (const { to, chance } of calls) {
      if (random() >= chance) continue;
      const call = idOf('b');
      const sentMs = nowMs;
      const [endedMs, broken] = serve(to, trace, sentMs + 0.2 + 0.2 * random(), call);
      nowMs = endedMs + 0.2 + 0.2 * random();
      const where = { service: name, trace, id: call, parent: id, startMs: sentMs + skew * skewMs };
      spans.push(spanOf({ ...where, name: `call s${to}`, kind: 'client', durationMs: nowMs - sentMs, error: broken }));
      if (broken && random() < 0.8) failed = true;
    }
    const where = { service: name, trace, id, parent, startMs: beginMs + skew * skewMs };
    spans.push(spanOf({ ...where, name: `GET ${name}`, kind: 'server', durationMs: nowMs - beginMs, error: failed }));
    return [nowMs, failed];
  };
  for (let request = 0; request < requests; request += 1) {
    serve(0, `${stretch}c${request}`, startMs + 50 * request, undefined);
  }
  return spans;
}
