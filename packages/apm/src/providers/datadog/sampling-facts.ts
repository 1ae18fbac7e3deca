import type { Span } from '@mnops/core/spi';

/** What Datadog is told about the decision to keep a trace. */
export interface SamplingFacts {
  /** -1 user drop, 0 drop, 1 keep, 2 user keep. */
  readonly priority: number;
  /** Who decided, such as `-0`; absent for traces that are not kept. */
  readonly decisionMaker: string | undefined;
  /** Where the trace began, such as `synthetics`. */
  readonly origin: string | undefined;
}

/**
 * The decision that a trace carries: that of the `dd` member of its `tracestate` where it agrees with the sampled flag,
 * else the flag's.
 */
export function samplingFactsOf({ traceState, traceFlags }: Pick<Span, 'traceState' | 'traceFlags'>): SamplingFacts {
  const told = datadogMember(traceState);
  const isSampled = (traceFlags & 1) === 1;
  const said = /^(?:-1|[012])$/.test(told.get('s') ?? '') ? Number(told.get('s')) : undefined;
  const agrees = said !== undefined && said > 0 === isSampled;
  const priority = agrees ? said : isSampled ? 1 : 0;
  const maker = told.get('t.dm');
  return {
    priority,
    decisionMaker: priority <= 0 ? undefined : agrees && /^-\d{1,2}$/.test(maker ?? '') ? maker : '-0',
    // `=` cannot stand in a tracestate member and is written as `~`.
    origin: told.get('o')?.replaceAll('~', '='),
  };
}

function datadogMember(traceState: string | undefined): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  const member = /(?:^|,)\s*dd=([^,]{1,256})/.exec(traceState ?? '')?.[1];
  for (const part of member?.trim().split(';') ?? []) {
    const colon = part.indexOf(':');
    if (colon > 0) facts.set(part.slice(0, colon), part.slice(colon + 1));
  }
  return facts;
}
