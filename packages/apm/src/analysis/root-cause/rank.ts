import type { Span } from '@mnops/core/spi';
import { quantile } from 'simple-statistics';
import { type Change, changedCalls, failingPlaces, slowerPlaces } from './compare.js';
import { type Concentration, concentrationOf } from './concentration.js';
import { type Entry, type Profile, profileOf } from './profile.js';

/** One thing that speaks for a candidate. */
export interface RootCauseEvidence {
  readonly signal: 'self-time' | 'edge-gap' | 'errors' | 'structure';
  /** P90 in milliseconds, share of failed calls from 0 to 1, or calls per run. */
  readonly before: number;
  readonly after: number;
  /** The same in a sentence. */
  readonly text: string;
}

/** A service that may be the cause. */
export interface RootCauseCandidate {
  readonly service: string;
  /** Present when one version bears the trouble. */
  readonly version?: string | undefined;
  /** Present when one instance bears the trouble. */
  readonly instance?: string | undefined;
  /** The operation that changed most. */
  readonly operation?: string | undefined;
  /** Share of the trouble that it explains, 0 to 1. */
  readonly score: number;
  /** The strongest first. */
  readonly evidence: readonly RootCauseEvidence[];
  /** Traces that show it; at most five. */
  readonly traceIds: readonly string[];
}

/** Who is to blame, as far as the traces tell. */
export interface RootCauseRanking {
  /** `none`: nothing changed beyond what chance explains, or there are too few traces. */
  readonly verdict: 'found' | 'none';
  /** The most likely first; at most ten. */
  readonly candidates: readonly RootCauseCandidate[];
  /** Traces that were compared. */
  readonly traces: { readonly normal: number; readonly faulty: number };
}

/** The traces of two windows. */
export interface RankInput {
  /** Spans of traces from before the trouble. */
  readonly normal: Iterable<Span>;
  /** Spans of traces from the time of the trouble. */
  readonly faulty: Iterable<Span>;
  /** Only traces that this service or operation takes part in. */
  readonly entry?: Entry | undefined;
}

/** Traces below which a window says nothing. */
const minTraces = 5;
/** What a change on the way to a service says about it, and about its caller. */
const calleeShare = 1;
const callerShare = 0.3;

/**
 * Ranks services by how much of a change between two windows began in them: time that a service takes itself, time that
 * passes between a caller and the called service, failures that nothing below explains, and calls that are missing or
 * new. Changes within what chance explains (four standard errors) do not count.
 */
export function rankRootCauses({ normal, faulty, entry }: RankInput): RootCauseRanking {
  const before = profileOf(normal, entry);
  const after = profileOf(faulty, entry);
  const traces = { normal: before.traces, faulty: after.traces };
  if (before.traces < minTraces || after.traces < minTraces) return { verdict: 'none', candidates: [], traces };
  const candidates = scored(before, after);
  return { verdict: candidates.length > 0 ? 'found' : 'none', candidates, traces };
}

interface Suspect {
  score: number;
  readonly changes: { readonly change: Change; readonly weight: number }[];
}

function scored(before: Profile, after: Profile): RootCauseCandidate[] {
  const slower = slowerPlaces(before, after);
  const failing = failingPlaces(before, after);
  const restructured = changedCalls(before, after);
  const groups = [
    { changes: slower, weight: Math.min(1, total(slower) / Math.max(1, before.traceMs)) },
    { changes: failing, weight: Math.min(1, 10 * total(failing)) },
    // Missing calls mostly follow from failures and retries, so they decide only where nothing else does.
    { changes: restructured, weight: 0.1 * Math.min(1, total(restructured)) },
  ];
  const allWeight = groups.reduce((sum, group) => sum + group.weight, 0);
  const suspects = new Map<string, Suspect>();
  const blame = (service: string, change: Change, weight: number): void => {
    const suspect = suspects.get(service) ?? { score: 0, changes: [] };
    suspect.score += weight;
    suspect.changes.push({ change, weight });
    suspects.set(service, suspect);
  };
  for (const { changes, weight } of groups) {
    const whole = total(changes);
    for (const change of changes) {
      const share = (weight / allWeight) * (change.perTrace / whole);
      const onEdge = change.faulty?.kind === 'edge-gap';
      blame(change.service, change, share * (onEdge ? calleeShare : 1));
      if (onEdge && change.caller !== undefined) blame(change.caller, change, share * callerShare);
    }
  }
  const whole = [...suspects.values()].reduce((sum, suspect) => sum + suspect.score, 0);
  return [...suspects]
    .map(([service, suspect]) => candidateOf(service, suspect, suspect.score / whole, before, after))
    .sort((a, b) => b.score - a.score)
    .filter(({ score }) => score >= 0.02)
    .slice(0, 10);
}

function candidateOf(
  service: string,
  suspect: Suspect,
  score: number,
  before: Profile,
  after: Profile,
): RootCauseCandidate {
  const weighted = suspect.changes.sort((a, b) => b.weight - a.weight);
  const inOrder = weighted.map(({ change }) => change);
  const own = weighted.filter(({ change }) => change.service === service);
  const where = concentrationOf(own, before, after);
  const operation = own[0]?.change.operation;
  return {
    service,
    ...where,
    ...(operation === undefined ? {} : { operation }),
    score,
    evidence: inOrder.slice(0, 5).map((change) => evidenceOf(change, change.service === service ? where : {})),
    traceIds: examplesOf(inOrder, where),
  };
}

function evidenceOf(change: Change, where: Concentration): RootCauseEvidence {
  const { signal, before, service, operation, caller } = change;
  const name = where.version === undefined ? service : `${service} ${where.version}`;
  // Where one version bears it, its own figure says more than one that is thinned by the others.
  const after = afterWithin(change, where) ?? change.after;
  const texts: Record<Change['signal'], string> = {
    'self-time': `${name} takes ${milliseconds(after)} of its own for ${operation} at P90, before it was ${milliseconds(before)}.`,
    'edge-gap': `From ${caller} to ${name} (${operation}) ${milliseconds(after)} pass outside of both at P90, before it was ${milliseconds(before)}.`,
    errors: `${percent(after)} of the calls to ${name} (${operation}) fail there, before it was ${percent(before)}.`,
    structure: `${service} ${operation} calls ${caller} ${figure(after)} times per run, before it was ${figure(before)}.`,
  };
  return { signal, before, after, text: texts[signal] };
}

function afterWithin({ signal, faulty }: Change, { version, instance }: Concentration): number | undefined {
  if (faulty === undefined || (version === undefined && instance === undefined)) return undefined;
  const samples = faulty.samples.filter(
    (sample) =>
      (version === undefined || sample.version === version) && (instance === undefined || sample.instance === instance),
  );
  if (samples.length === 0) return undefined;
  if (signal === 'errors') return samples.filter((sample) => sample.failed).length / samples.length;
  return quantile(
    samples.map((sample) => sample.ms),
    0.9,
  );
}

function examplesOf(changes: readonly Change[], { version }: Concentration): string[] {
  const ids = new Set<string>();
  for (const { signal, faulty } of changes) {
    const samples = (faulty?.samples ?? []).filter((sample) => version === undefined || sample.version === version);
    const worst =
      signal === 'errors' ? samples.filter((sample) => sample.failed) : samples.toSorted((a, b) => b.ms - a.ms);
    for (const sample of worst.slice(0, 3)) ids.add(sample.traceId);
  }
  return [...ids].slice(0, 5);
}

function total(changes: readonly Change[]): number {
  return changes.reduce((sum, change) => sum + change.perTrace, 0);
}

function milliseconds(value: number): string {
  return `${figure(value)} ms`;
}

function percent(share: number): string {
  return `${figure(share * 100)} %`;
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}
