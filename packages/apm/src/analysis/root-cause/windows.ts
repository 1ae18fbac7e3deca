import { changeTime, uncertainMs } from './change-time.js';
import { type Change, failingPlaces, slowerPlaces } from './compare.js';
import { changedHappenings } from './happenings.js';
import type { CallEdge } from './inputs.js';
import { LogTemplates } from './log-templates.js';
import { lowerBound, Profile, takesPart } from './profile.js';
import type { RankInput } from './rank.js';
import { Recording, Runs } from './recording.js';
import { attachLines, TraceReader, type TraceSteps } from './taken-apart.js';

/** What traces and lines say has changed. */
export interface WindowChanges {
  readonly slower: readonly Change[];
  readonly failing: readonly Change[];
  readonly happenings: readonly Change[];
}

/** Two windows and what is different between them. */
export interface ComparedWindows {
  readonly before: Profile;
  readonly after: Profile;
  readonly changes: WindowChanges;
  /** The time given, or the start of the first faulty trace; infinite when there is neither. */
  readonly atMs: number;
  /** When the change began, where a time stands out. */
  readonly changedAtMs: number | undefined;
}

/** Traces below which a window says nothing. */
export const minTraces = 5;
const maxLogs = 100_000;
/** What lies this long before the time found belongs to neither window. */
const guardMs = 2_000;
/** How long after the time given lines count that no trace holds. */
const looseMs = 600_000;

const nothing: WindowChanges = { slower: [], failing: [], happenings: [] };

/** Compares the windows. With a time that may be off, they are parted anew where the change is seen to begin. */
export function comparedWindows(input: RankInput): ComparedWindows {
  const { recording, given } = recorded(input);
  const { at } = input;
  const atMs = at?.getTime() ?? recording.traces[given]?.startMs ?? Number.POSITIVE_INFINITY;
  const windows = new Windows(recording);
  const asGiven: Split = { until: given, from: given, untilMs: atMs, fromMs: atMs };
  // Without a time, or with windows that overlap, there is nothing but the windows as they are given.
  if (at === undefined || !isInOrder(recording.traces)) {
    return { ...windows.compare(asGiven), atMs, changedAtMs: undefined };
  }
  const sure = sureSplit(recording.traces, asGiven, atMs);
  const late = { ...sure, from: indexAt(recording.traces, atMs + uncertainMs), fromMs: atMs + uncertainMs };
  const hasLate = recording.traces.length - late.from >= minTraces;
  const changedAtMs = changedAt(windows, sure, hasLate ? late : undefined, atMs);
  if (changedAtMs !== undefined) {
    const parted = windows.compare(partedAt(recording.traces, changedAtMs));
    if (strengthOf(parted) > 0) return { ...parted, atMs, changedAtMs };
  }
  // No time stands out where everything after it is wrong and little before is known. Then it is as given, unless more is
  // wrong in the parts that a time some way off would leave.
  const plain = windows.compare({ ...sure, from: given, fromMs: atMs });
  const others = [windows.compare(sure), ...(hasLate ? [windows.compare(late)] : [])];
  const other = others.reduce((most, one) => (strengthOf(one) > strengthOf(most) ? one : most));
  const chosen = strengthOf(other) > otherStrength * strengthOf(plain) ? other : plain;
  return { ...chosen, atMs, changedAtMs: undefined };
}

/** How much of the usual certainty is enough where the time of a change is looked for. */
const lenience = 0.5;

function changedAt(windows: Windows, sure: Split, late: Split | undefined, atMs: number): number | undefined {
  const whole = windows.compare(sure, lenience);
  const found = changeTime(allOf(whole.changes), whole.after, atMs);
  if (found !== undefined || late === undefined) return found;
  // Much that is well may hide the trouble: what is surely after the time shows it, and then when it began.
  return changeTime(allOf(windows.compare(late, lenience).changes), whole.after, atMs);
}

/** Takes everything apart once, the traces of both windows one after the other, in order of time. */
function recorded({ normal = [], faulty = [], logs = [], entry = {} }: RankInput): {
  readonly recording: Recording;
  /** Number of the first faulty trace. */
  readonly given: number;
} {
  const runs = new Runs();
  const reader = new TraceReader(runs, logs.length > 0);
  const isAll = entry.service === undefined && entry.operation === undefined;
  const read = (spans: RankInput['normal']): TraceSteps[] => {
    const traces = reader.read(spans ?? []);
    const wanted = isAll ? traces : traces.filter((trace) => takesPart(trace, entry));
    return wanted.sort((a, b) => a.startMs - b.startMs);
  };
  const before = read(normal);
  const traces = [...before, ...read(faulty)];
  const templates = new LogTemplates();
  const loose = attachLines(traces, logs.length > maxLogs ? logs.slice(-maxLogs) : logs, templates);
  const recording = new Recording(traces, runs);
  recording.addLoose(loose, templates);
  return { recording, given: before.length };
}

function isInOrder(traces: readonly TraceSteps[]): boolean {
  return traces.every(({ startMs }, index) => index === 0 || startMs >= (traces[index - 1]?.startMs ?? 0));
}

type Compared = Omit<ComparedWindows, 'atMs' | 'changedAtMs'>;

/** Traces before the first number are normal, those from the second on are not; so are lines that no trace holds. */
interface Split {
  readonly until: number;
  readonly from: number;
  readonly untilMs: number;
  readonly fromMs: number;
}

class Windows {
  readonly #recording: Recording;

  constructor(recording: Recording) {
    this.#recording = recording;
  }

  /** @param lenience - Below 1 for a first look, that what is found in is looked at again. */
  compare({ until, from, untilMs, fromMs }: Split, lenience = 1): Compared {
    const { traces, looseAt } = this.#recording;
    const looseOf = (ms: number): number => lowerBound(looseAt.length, (index) => looseAt[index] as number, ms);
    const before = new Profile(this.#recording, { from: 0, to: until }, { from: 0, to: looseOf(untilMs) });
    const loose = { from: looseOf(fromMs), to: looseOf(fromMs + looseMs) };
    const after = new Profile(this.#recording, { from, to: traces.length }, loose);
    return { before, after, changes: changesOf(before, after, lenience) };
  }
}

/** How much more must be wrong for another time than the one given. */
const otherStrength = 2;

/** How much is wrong, whatever the kind. */
function strengthOf({ changes: { slower, failing, happenings }, before }: Compared): number {
  const sum = (some: readonly Change[]): number => some.reduce((all, { perTrace }) => all + perTrace, 0);
  return sum(slower) / Math.max(1, before.traceMs) + 10 * sum(failing) + 0.2 * sum(happenings);
}

/** Leaves out of what is normal all that may have seen the trouble already, if enough remains. */
function sureSplit(traces: readonly TraceSteps[], asGiven: Split, atMs: number): Split {
  const untilMs = atMs - uncertainMs;
  const until = Math.min(asGiven.until, indexAt(traces, untilMs));
  if (until < Math.max(minTraces, 0.2 * asGiven.until)) return asGiven;
  return { until, from: until, untilMs, fromMs: untilMs };
}

function partedAt(traces: readonly TraceSteps[], changedAtMs: number): Split {
  const untilMs = changedAtMs - guardMs;
  return { until: indexAt(traces, untilMs), from: indexAt(traces, changedAtMs), untilMs, fromMs: changedAtMs };
}

/** Number of the first trace that began at a time or after it. */
function indexAt(traces: readonly TraceSteps[], ms: number): number {
  return lowerBound(traces.length, (index) => (traces[index] as TraceSteps).startMs, ms);
}

function changesOf(before: Profile, after: Profile, lenience: number): WindowChanges {
  const happenings = changedHappenings(before, after, lenience);
  if (before.traces < minTraces || after.traces < minTraces) return { ...nothing, happenings };
  return { slower: slowerPlaces(before, after, lenience), failing: failingPlaces(before, after, lenience), happenings };
}

function allOf({ slower, failing, happenings }: WindowChanges): Change[] {
  // Times are in milliseconds, the others in shares: each kind counts as one whole.
  return [slower, failing, happenings].flatMap((changes) => {
    const whole = changes.reduce((sum, { perTrace }) => sum + perTrace, 0);
    return changes.map((change) => ({ ...change, perTrace: change.perTrace / Math.max(whole, 1e-9) }));
  });
}

/** Which services call which, as the traces say. */
export function edgesOf({ runs }: Recording): CallEdge[] {
  const edges = new Map<string, CallEdge>();
  for (const run of runs.all) {
    for (const { called } of run.happenings.values()) {
      if (called === undefined) continue;
      edges.set(`${run.service}\n${called.service}`, { client: run.service, server: called.service });
    }
  }
  return [...edges.values()];
}
