import type { Change } from './compare.js';
import type { Concentration } from './concentration.js';
import { quantileOf } from './quantiles.js';

/** One thing that speaks for a candidate. */
export interface RootCauseEvidence {
  readonly signal: Change['signal'];
  /** P90 in milliseconds, share of failed calls from 0 to 1, calls per run, share of runs, or the metric's own unit. */
  readonly before: number;
  readonly after: number;
  /** The same in a sentence. */
  readonly text: string;
}

/** A change as evidence; where one version or instance bears it, with the figures of that one. */
export function evidenceOf(change: Change, where: Concentration): RootCauseEvidence {
  const { signal, before, service, operation, caller } = change;
  const name = where.version === undefined ? service : `${service} ${where.version}`;
  // Where one version bears it, its own figure says more than one that is thinned by the others.
  const after = afterWithin(change, where) ?? change.after;
  const what = change.happening?.template.what ?? '';
  const texts: Record<Change['signal'], string> = {
    'self-time': `${name} takes ${milliseconds(after)} of its own for ${operation} at P90, before it was ${milliseconds(before)}.`,
    'edge-gap': `From ${caller} to ${name} (${operation}) ${milliseconds(after)} pass outside of both at P90, before it was ${milliseconds(before)}.`,
    errors: `${percent(after)} of the calls to ${name} (${operation}) fail there, before it was ${percent(before)}.`,
    structure: `${service} ${operation} calls ${what} ${figure(after)} times per run, before it was ${figure(before)}.`,
    log: `${service} ${doing(change)} in ${percent(after)} of its runs${operation === '' ? '' : ` of ${operation}`}, before it was ${percent(before)}.`,
    metric: `${change.metric} of ${service} is ${figure(after)}, before it was ${figure(before)}.`,
  };
  return { signal, before, after, text: texts[signal] };
}

function afterWithin({ signal, now }: Change, { version, instance }: Concentration): number | undefined {
  if (now === undefined || (version === undefined && instance === undefined)) return undefined;
  const samples = now.filter(
    ({ by }) =>
      (version === undefined || by?.version === version) && (instance === undefined || by?.instance === instance),
  );
  if (samples.length === 0) return undefined;
  if (signal !== 'errors') return quantileOf(samples, 0.9);
  const [all, failed] = [samples, samples.filter((sample) => sample.failed)].map((some) =>
    some.reduce((sum, { count }) => sum + count, 0),
  ) as [number, number];
  return failed / all;
}

/** Characters of a line that evidence quotes. */
const maxQuoted = 160;

function doing({ happening }: Change): string {
  const { what } = happening?.template ?? { what: '' };
  return happening?.kind === 'exception' ? `throws ${what}` : `writes "${what.slice(0, maxQuoted)}"`;
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
