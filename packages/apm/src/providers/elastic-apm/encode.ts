import type { Span, SpanAttributes, SpanBatch } from '@mnops/core/spi';
import { cut, named, wellFormed } from '../../encoding/plain-text.js';
import { shortenAttributes } from '../../encoding/shorten-span.js';
import { adjustedCountOf } from '../../sampling/adjusted-count.js';
import { errorDocuments } from './error-documents.js';
import { metadataOf, serviceOf } from './metadata.js';
import { spanTypeOf, transactionTypeOf } from './span-types.js';

/** A batch as the intake takes it. */
export interface IntakeBody {
  /** One JSON document a line. */
  readonly text: string;
  /** Documents after the metadata. */
  readonly eventCount: number;
}

/** Longest name, and longest text of an attribute, that the server keeps. */
const maxKeyword = 1_024;
const maxText = 10_000;

/** A batch as lines of JSON: who sends, then a transaction or a span for each span, and an error for each exception. */
export function encodeIntake(batch: SpanBatch): IntakeBody {
  const spans = batch.groups.flatMap((group): readonly Span[] => group.spans);
  const roots = new LocalRoots(spans);
  const first = batch.groups[0]?.resource ?? {};
  const events: object[] = [];
  for (const { resource, spans: ofGroup } of batch.groups) {
    // There is one metadata line; spans of other programs name theirs themselves.
    const foreign = resource === first ? undefined : { service: serviceOf(resource) };
    for (const span of ofGroup) {
      const root = roots.of(span);
      const isRoot = root === span;
      events.push(
        isRoot ? { transaction: transactionOf(span, roots, foreign) } : { span: spanOf(span, root, foreign) },
      );
      for (const error of errorDocuments(span, root, foreign)) events.push({ error });
    }
  }
  const lines = [{ metadata: metadataOf(first) }, ...events].map((line) => JSON.stringify(line));
  return { text: `${lines.join('\n')}\n`, eventCount: events.length };
}

type Foreign = { readonly service: object } | undefined;

function transactionOf(span: Span, roots: LocalRoots, foreign: Foreign): object {
  return {
    ...common(span),
    type: transactionTypeOf(span),
    sampled: true,
    span_count: { started: roots.spansOf(span) },
    ...(foreign === undefined ? {} : { context: foreign }),
  };
}

function spanOf(span: Span, root: Span | undefined, foreign: Foreign): object {
  const { type, subtype, target } = spanTypeOf(span);
  const context = {
    ...(target === undefined
      ? {}
      : {
          destination: {
            service: {
              // As Elastic's own agents: what is outside goes by its host alone.
              resource: cut(
                target.name === undefined
                  ? target.type
                  : type === 'external'
                    ? target.name
                    : `${target.type}/${target.name}`,
                maxKeyword,
              ),
            },
          },
        }),
    ...(target === undefined && foreign === undefined
      ? {}
      : { service: { ...foreign?.service, ...(target === undefined ? {} : { target }) } }),
  };
  return {
    ...common(span),
    // A span that is no local root always has a parent.
    parent_id: span.parentSpanId,
    ...(root === undefined ? {} : { transaction_id: root.spanId }),
    type,
    ...(subtype === undefined ? {} : { subtype }),
    ...(Object.keys(context).length === 0 ? {} : { context }),
  };
}

const outcomes = { ok: 'success', error: 'failure', unset: 'unknown' } as const;

/** What transactions and spans have in common. */
function common(span: Span): object {
  const { traceId, spanId, parentSpanId, name, kind, status, links } = span;
  return {
    id: spanId,
    trace_id: traceId,
    ...(parentSpanId === undefined ? {} : { parent_id: parentSpanId }),
    name: cut(wellFormed(name === '' ? 'unnamed' : name), maxKeyword),
    timestamp: Number(span.startTimeUnixNano / 1_000n),
    duration: Number(span.durationNano) / 1e6,
    outcome: outcomes[status.code],
    // From it the server knows how many spans this one stands for.
    sample_rate: 1 / adjustedCountOf(span),
    otel: { span_kind: kind.toUpperCase(), attributes: attributesOf(span.attributes) },
    ...(links.length === 0 ? {} : { links: links.map((link) => ({ trace_id: link.traceId, span_id: link.spanId })) }),
  };
}

function attributesOf(attributes: SpanAttributes): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(shortenAttributes(attributes, { text: maxText })).map(([key, value]) => [
      wellFormed(key),
      named(value) ?? value,
    ]),
  );
}

/** Where each process entered a trace, as far as the spans of a batch tell. */
class LocalRoots {
  readonly #spans = new Map<string, Span>();
  readonly #counts = new Map<Span, number>();
  readonly #roots = new Map<Span, Span | undefined>();

  constructor(spans: readonly Span[]) {
    for (const span of spans) this.#spans.set(`${span.traceId}${span.spanId}`, span);
    for (const span of spans) {
      const root = this.#find(span);
      this.#roots.set(span, root);
      if (root !== undefined && root !== span) this.#counts.set(root, (this.#counts.get(root) ?? 0) + 1);
    }
  }

  /** The local root above a span: the span itself if it is one, `undefined` when it is not in the batch. */
  of(span: Span): Span | undefined {
    return this.#roots.get(span);
  }

  /** Spans below a local root. */
  spansOf(root: Span): number {
    return this.#counts.get(root) ?? 0;
  }

  #find(span: Span): Span | undefined {
    let current: Span | undefined = span;
    const seen = new Set<Span>();
    while (current !== undefined && !seen.has(current)) {
      if (this.#isRoot(current)) return current;
      seen.add(current);
      current = this.#parentOf(current);
    }
    return undefined;
  }

  #isRoot(span: Span): boolean {
    if (span.parentSpanId === undefined) return true;
    if (span.parentIsRemote !== undefined) return span.parentIsRemote;
    const parent = this.#parentOf(span);
    if (parent !== undefined) return parent.resource !== span.resource;
    return span.kind === 'server' || span.kind === 'consumer';
  }

  #parentOf({ traceId, parentSpanId }: Span): Span | undefined {
    return parentSpanId === undefined ? undefined : this.#spans.get(`${traceId}${parentSpanId}`);
  }
}
