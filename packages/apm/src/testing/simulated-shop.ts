import type { Span } from '@mnops/core/spi';
import { normal, randomOf } from './random.js';
import { spanOf } from './spans.js';

/** What is wrong in a simulated shop, and in which part of it. */
export interface ShopFault {
  readonly service?: 'gateway' | 'catalog' | 'orders' | 'database' | undefined;
  /** Only this version or instance has the fault. */
  readonly version?: string | undefined;
  readonly instance?: string | undefined;
  readonly addMs?: number | undefined;
  readonly failShare?: number | undefined;
  /** Milliseconds on the way to the service. */
  readonly gapMs?: number | undefined;
  /** The service does not call the next one any more. */
  readonly skipsCall?: boolean | undefined;
}

/** A stretch of shop traffic. */
export interface ShopTraffic {
  readonly seed: number;
  readonly requests: number;
  readonly startMs?: number | undefined;
  /** Share of the requests that reach version 2 of catalog. */
  readonly canaryShare?: number | undefined;
  readonly fault?: ShopFault | undefined;
}

/** Spans of gateway → catalog → orders → database, one trace a request, 5 ms apart. */
export function simulatedShop(traffic: ShopTraffic): Span[] {
  const random = randomOf(traffic.seed);
  const spans: Span[] = [];
  const { requests, startMs = 1_700_000_000_000, canaryShare = 0, fault } = traffic;
  for (let i = 0; i < requests; i += 1) {
    const canary = random() < canaryShare;
    const instance = `${canary ? 'c' : 's'}${random() < 0.5 ? 1 : 2}`;
    const request = new Request(traffic.seed * 1_000_000 + i, random, fault, {
      version: canary ? '2' : '1',
      instance: canary ? 'c1' : instance,
    });
    spans.push(...request.spans(startMs + i * 5));
  }
  return spans;
}

class Request {
  readonly #id: number;
  readonly #random: () => number;
  readonly #fault: ShopFault | undefined;
  readonly #catalog: { readonly version: string; readonly instance: string };
  readonly #spans: Span[] = [];

  constructor(
    id: number,
    random: () => number,
    fault: ShopFault | undefined,
    catalog: { version: string; instance: string },
  ) {
    this.#id = id;
    this.#random = random;
    this.#fault = fault;
    this.#catalog = catalog;
  }

  spans(startMs: number): Span[] {
    this.#serve('gateway', undefined, startMs);
    return this.#spans;
  }

  /** Adds the server span of a service and what it calls. @returns When it ended, and whether it failed. */
  #serve(service: 'gateway' | 'catalog' | 'orders', parent: string | undefined, startMs: number): [number, boolean] {
    const origin = service === 'catalog' ? this.#catalog : { version: '1', instance: `${service}-1` };
    const fault = this.#faultAt(service, origin);
    const ownMs = { gateway: 1, catalog: 3, orders: 2 }[service] * Math.exp(0.4 * normal(this.#random));
    let failed = this.#random() < (fault?.failShare ?? 0.001);
    let nowMs = startMs + ownMs / 2 + (fault?.addMs ?? 0);
    const next = { gateway: 'catalog', catalog: 'orders', orders: 'database' }[service] as
      | 'catalog'
      | 'orders'
      | 'database';
    if (fault?.skipsCall !== true) {
      const [endedMs, childFailed] = this.#call(service, origin, next, nowMs);
      nowMs = endedMs;
      failed ||= childFailed;
    }
    nowMs += ownMs / 2;
    this.#add(
      { service, ...origin, id: service, parent, kind: 'server', name: `GET ${service}` },
      startMs,
      nowMs,
      failed,
    );
    return [nowMs, failed];
  }

  #call(
    service: string,
    origin: { version: string; instance: string },
    next: 'catalog' | 'orders' | 'database',
    startMs: number,
  ): [number, boolean] {
    const fault = next === 'catalog' ? this.#faultAt(next, this.#catalog) : this.#faultAt(next, undefined);
    const wayMs = 0.3 * Math.exp(0.4 * normal(this.#random)) + (fault?.gapMs ?? 0) / 2;
    let [endMs, failed] = [startMs + wayMs, false];
    if (next === 'database') {
      endMs += 1.5 * Math.exp(0.4 * normal(this.#random)) + (fault?.addMs ?? 0);
      failed = this.#random() < (fault?.failShare ?? 0);
    } else {
      [endMs, failed] = this.#serve(next, `to ${next}`, endMs);
    }
    endMs += wayMs;
    const attributes = next === 'database' ? { 'db.system.name': 'postgresql', 'db.namespace': 'database' } : {};
    const parts = { service, ...origin, id: `to ${next}`, parent: service, kind: 'client' as const, attributes };
    this.#add({ ...parts, name: `call ${next}` }, startMs, endMs, failed);
    return [endMs, failed];
  }

  #faultAt(service: string, origin: { version: string; instance: string } | undefined): ShopFault | undefined {
    const fault = this.#fault;
    if (fault === undefined || fault.service !== service) return undefined;
    if (fault.version !== undefined && fault.version !== origin?.version) return undefined;
    if (fault.instance !== undefined && fault.instance !== origin?.instance) return undefined;
    return fault;
  }

  #add(parts: Parameters<typeof spanOf>[0], startMs: number, endMs: number, error: boolean): void {
    const names = ['gateway', 'to catalog', 'catalog', 'to orders', 'orders', 'to database'];
    const id = (name: string): string => (this.#id * 16 + names.indexOf(name) + 1).toString(16);
    this.#spans.push(
      spanOf({
        ...parts,
        trace: (this.#id + 1).toString(16),
        id: id(parts.id),
        ...(parts.parent === undefined ? {} : { parent: id(parts.parent) }),
        startMs,
        durationMs: endMs - startMs,
        error,
      }),
    );
  }
}
