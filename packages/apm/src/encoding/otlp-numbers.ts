import type { Span, SpanKindName } from '@mnops/core/spi';

/** Numbers of `Span.SpanKind` in opentelemetry/proto/trace/v1/trace.proto. */
export const kindNumbers: Readonly<Record<SpanKindName, number>> = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
};
/** Kinds by number; 0 is a kind that was not given. */
export const kindNames: readonly SpanKindName[] = ['internal', ...(Object.keys(kindNumbers) as SpanKindName[])];

/** Numbers of `Status.StatusCode`. */
export const statusNumbers: Readonly<Record<Span['status']['code'], number>> = { unset: 0, ok: 1, error: 2 };
/** Statuses by number. */
export const statusNames: readonly Span['status']['code'][] = ['unset', 'ok', 'error'];

/** Bit of `flags` that says whether it is known that the parent lies in another process. */
export const hasIsRemote = 0x100;
/** Bit of `flags` that says that the parent lies in another process, where `hasIsRemote` is set. */
export const isRemote = 0x200;
