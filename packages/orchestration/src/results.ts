import { randomUUID } from 'node:crypto';
import type { OrchestrationResult } from './deployment.js';

/** Names of the services in an input that is not checked yet. */
export function namesOf(services: unknown): string {
  const names = (Array.isArray(services) ? services : [services]).map(
    (one) => (one as { name?: unknown } | null)?.name,
  );
  const text = names.filter((name) => typeof name === 'string').join(', ');
  return text === '' ? 'services' : text.slice(0, 1_000);
}

/** What an audit record says of a result. */
export function factsOf(result: unknown): Readonly<Record<string, string>> | undefined {
  const { rolloutId, state, services } = (result ?? {}) as Partial<OrchestrationResult>;
  if (rolloutId === undefined || state === undefined) return undefined;
  const revisions = services?.map(
    ({ name, fromRevision = 'none', toRevision = 'none' }) => `${name}: ${fromRevision} to ${toRevision}`,
  );
  return { rolloutId, state, revisions: (revisions ?? []).join(', ').slice(0, 10_000) };
}

/** The results of several services as one. */
export function joined(
  results: readonly OrchestrationResult[],
  startedAt: Date,
  durationMs: number,
): OrchestrationResult {
  const states = results.map(({ state }) => state);
  const state = states.includes('paused') ? 'paused' : states.includes('succeeded') ? 'succeeded' : 'unchanged';
  return {
    rolloutId: results[0]?.rolloutId ?? randomUUID(),
    operation: 'deploy',
    target: results[0]?.target ?? '',
    state,
    startedAt,
    durationMs,
    services: results.flatMap(({ services }) => services),
    reasons: results.flatMap(({ reasons }) => reasons),
  };
}
