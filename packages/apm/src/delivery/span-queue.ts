import type { Span, SpanBatch } from '@mnops/core/spi';
import { sizeOf } from '../store/span-size.js';
import { plainSpan } from '../tracing/recorded-span.js';

/** Spans that wait to be delivered, bounded by number and bytes; the oldest without an error go first. */
export class SpanQueue {
  readonly #maxSpans: number;
  readonly #maxBytes: number;
  readonly #entries: { readonly span: Span; readonly bytes: number }[] = [];
  /** Entries before this position are taken; the array is cut in larger steps. */
  /** Resources in the queue's estimate already. */
  readonly #paid: WeakSet<object> = new WeakSet();
  #head = 0;
  #bytes = 0;

  constructor(limits: { readonly maxSpans: number; readonly maxBytes: number }) {
    this.#maxSpans = limits.maxSpans;
    this.#maxBytes = limits.maxBytes;
  }

  get size(): number {
    return this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a span. @returns How many spans had to go for it; it may be the span itself. */
  push(span: Span): number {
    const bytes = sizeOf(span, this.#paid);
    this.#entries.push({ span, bytes });
    this.#bytes += bytes;
    let dropped = 0;
    while (this.size > this.#maxSpans || (this.#bytes > this.#maxBytes && this.size > 0)) {
      this.#dropOne();
      dropped += 1;
    }
    return dropped;
  }

  /** Takes the oldest spans, as many as asked for. */
  take(count: number): Span[] {
    const taken: Span[] = [];
    while (taken.length < count && this.#head < this.#entries.length) {
      const entry = this.#entries[this.#head] as { readonly span: Span; readonly bytes: number };
      this.#head += 1;
      this.#bytes -= entry.bytes;
      taken.push(entry.span);
    }
    if (this.#head > 1_024 || this.#head === this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** Gives up the oldest span without an error among the first few, else the oldest. */
  #dropOne(): void {
    const end = Math.min(this.#entries.length, this.#head + 64);
    let victim = this.#head;
    for (let i = this.#head; i < end; i += 1) {
      if (this.#entries[i]?.span.status.code !== 'error') {
        victim = i;
        break;
      }
    }
    const [entry] = this.#entries.splice(victim, 1);
    this.#bytes -= entry?.bytes ?? 0;
  }
}

/** Groups spans by resource and scope, as every back end wants them. */
export function batchOf(spans: readonly Span[]): SpanBatch {
  const groups = new Map<string, { resource: Span['resource']; scope: Span['scope']; spans: Span[] }>();
  const resources = new Map<Span['resource'], number>();
  for (const span of spans) {
    const { resource, scope } = span;
    let number = resources.get(resource);
    if (number === undefined) {
      number = resources.size;
      resources.set(resource, number);
    }
    const key = JSON.stringify([number, scope.name, scope.version]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { resource, scope, spans: [plainSpan(span)] });
    else group.spans.push(plainSpan(span));
  }
  return { groups: [...groups.values()], spanCount: spans.length };
}
