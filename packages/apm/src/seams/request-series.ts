import type { SpanAttributes } from '@mnops/core/spi';
import { LatencySketch } from '../analysis/latency-sketch.js';
import { methodOf, type Origin } from '../analysis/span-facts.js';
import type { requestLabels } from './metric-query.js';

/** One label set of the request histogram. */
export type RequestLabels = Readonly<Record<(typeof requestLabels)[number], string>>;

/** Limits of the request figures. */
export interface RequestSeriesOptions {
  readonly slotMs: number;
  readonly retainMs: number;
  readonly maxSeries: number;
  readonly maxBytes: number;
}

interface Slot {
  readonly index: number;
  readonly sketches: Map<RequestLabels, LatencySketch>;
}

/** Durations of the requests that server spans stand for, in seconds, by label set and slot of time; bounded. */
export class RequestSeries {
  readonly #options: RequestSeriesOptions;
  readonly #labels = new Map<string, RequestLabels>();
  readonly #slots = new Map<number, Slot>();
  readonly #byOrigin = new WeakMap<Origin, Map<string, RequestLabels[]>>();
  #lastOrigin: Origin | undefined;
  #lastLabels: RequestLabels | undefined;
  #current: Slot | undefined;
  #newestIndex = 0;
  #sketchCount = 0;
  #overflowed = 0;

  constructor(options: RequestSeriesOptions) {
    this.#options = options;
  }

  /** Requests that were counted under `(other)` because there are too many label sets. */
  get overflowed(): number {
    return this.#overflowed;
  }

  get seriesCount(): number {
    return this.#labels.size;
  }

  observe(
    origin: Origin,
    operation: string,
    attributes: SpanAttributes,
    error: boolean,
    endMs: number,
    ms: number,
    count = 1,
  ): void {
    const slot = this.#slotAt(Math.floor(endMs / this.#options.slotMs));
    if (slot === undefined) return;
    const labels = this.#labelsOf(origin, operation, attributes, error);
    let sketch = slot.sketches.get(labels);
    if (sketch === undefined) {
      sketch = new LatencySketch();
      slot.sketches.set(labels, sketch);
      this.#sketchCount += 1;
    }
    sketch.add(ms / 1_000, count);
  }

  /** Everything observed in a window that ends at an instant, to the resolution of a slot. */
  *within(atMs: number, windowMs: number): Iterable<readonly [RequestLabels, LatencySketch]> {
    const { slotMs } = this.#options;
    const first = Math.round((atMs - windowMs) / slotMs);
    const last = Math.ceil(atMs / slotMs) - 1;
    for (const { index, sketches } of this.#slots.values()) {
      if (index >= first && index <= last) yield* sketches;
    }
  }

  #slotAt(index: number): Slot | undefined {
    if (this.#current?.index === index) return this.#current;
    const { retainMs, slotMs } = this.#options;
    const oldest = this.#newestIndex - Math.ceil(retainMs / slotMs);
    if (index < oldest) return undefined;
    let slot = this.#slots.get(index);
    if (slot === undefined) {
      slot = { index, sketches: new Map() };
      this.#slots.set(index, slot);
      this.#newestIndex = Math.max(this.#newestIndex, index);
      this.#trim();
    }
    this.#current = slot;
    return slot;
  }

  /** Lets go of slots that are too old, and of the oldest while there are too many bytes. */
  #trim(): void {
    const { retainMs, slotMs, maxBytes } = this.#options;
    const oldest = this.#newestIndex - Math.ceil(retainMs / slotMs);
    // A request figure seldom spans more than three powers of two.
    const bytesPerSketch = 2_200;
    const inOrder = [...this.#slots.keys()].sort((a, b) => a - b);
    for (const index of inOrder) {
      const tooBig = this.#sketchCount * bytesPerSketch > maxBytes && index !== this.#newestIndex;
      if (index >= oldest && !tooBig) return;
      this.#sketchCount -= this.#slots.get(index)?.sketches.size ?? 0;
      this.#slots.delete(index);
    }
  }

  #labelsOf(origin: Origin, operation: string, attributes: SpanAttributes, error: boolean): RequestLabels {
    const method = methodOf(attributes);
    const given = attributes['http.route'];
    const route = typeof given === 'string' ? given : operation;
    const status = statusClass(attributes, error);
    let known = this.#lastLabels;
    if (
      known !== undefined &&
      this.#lastOrigin === origin &&
      known.route === route &&
      known.status_class === status &&
      known.method === method
    ) {
      return known;
    }
    const routes = this.#routesOf(origin);
    known = routes.get(route)?.find((labels) => labels.status_class === status && labels.method === method);
    if (known === undefined) {
      known = this.#find(origin, method, route, status);
      // What counts as other is not remembered, so that it is counted.
      if (known.route !== route || known.service !== origin.service) return known;
      const labels = routes.get(route);
      if (labels === undefined) routes.set(route, [known]);
      else labels.push(known);
    }
    this.#lastOrigin = origin;
    this.#lastLabels = known;
    return known;
  }

  /** Label sets of one origin by route, known without making a key. */
  #routesOf(origin: Origin): Map<string, RequestLabels[]> {
    let routes = this.#byOrigin.get(origin);
    if (routes === undefined) {
      routes = new Map();
      this.#byOrigin.set(origin, routes);
    }
    return routes;
  }

  #find(origin: Origin, method: string, route: string, status: string): RequestLabels {
    const { service, version = '', revision = '', instance = '' } = origin;
    const key = `${service}\0${version}\0${revision}\0${instance}\0${method}\0${route}\0${status}`;
    const known = this.#labels.get(key);
    if (known !== undefined) return known;
    if (this.#labels.size < this.#options.maxSeries) {
      const labels: RequestLabels = {
        service,
        version,
        revision,
        service_instance: instance,
        method,
        route,
        status_class: status,
      };
      this.#labels.set(key, labels);
      return labels;
    }
    this.#overflowed += 1;
    const otherKey = `(other)\0${status}`;
    const other: RequestLabels = this.#labels.get(otherKey) ?? {
      service: '(other)',
      version: '',
      revision: '',
      service_instance: '',
      method: '',
      route: '(other)',
      status_class: status,
    };
    this.#labels.set(otherKey, other);
    return other;
  }
}

const statusClasses = ['', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** '2xx' … '5xx' from the response's status; without one, a failed span counts as '5xx' and any other as '2xx'. */
function statusClass(attributes: SpanAttributes, error: boolean): string {
  const given = attributes['http.response.status_code'] ?? attributes['http.status_code'];
  const status = typeof given === 'string' ? Number(given) : given;
  if (typeof status === 'number' && status >= 100 && status < 600)
    return statusClasses[Math.floor(status / 100)] as string;
  return error ? '5xx' : '2xx';
}
