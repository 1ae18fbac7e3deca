import { changeTime, uncertainMs } from './change-time.js';
import { type Change, failingPlaces, slowerPlaces } from './compare.js';
import { changedHappenings } from './happenings.js';
import type { CallEdge } from './inputs.js';
import { LogTemplates } from './log-templates.js';
import { type Profile, ProfileBuilder, takesPart } from './profile.js';
import type { RankInput } from './rank.js';
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

/** Traces below which a window says nothing, and lines at most. */
const minTraces = 5;
const maxLogs = 100_000;
/** What lies this long before the time found belongs to neither window. */
const guardMs = 2_000;
/** How long after the time given lines count that no trace holds. */
const looseMs = 600_000;

const nothing: WindowChanges = { slower: [], failing: [], happenings: [] };

/** Compares the windows. With a time that may be off, they are parted anew where the change is seen to begin. */
export function comparedWindows({ normal = [], faulty = [], logs = [], entry, at }: RankInput): ComparedWindows {
  const reader = new TraceReader();
  const asked = entry ?? {};
  const wanted = (trace: TraceSteps): boolean => takesPart(trace, asked);
  const isAll = entry?.service === undefined && entry?.operation === undefined;
  const read = (spans: RankInput['normal']): TraceSteps[] => {
    const traces = reader.read(spans ?? []);
    return isAll ? traces : traces.filter(wanted);
  };
  const given = { normal: read(normal), faulty: read(faulty) };
  const templates = new LogTemplates();
  const newest = logs.length > maxLogs ? logs.slice(-maxLogs) : logs;
  const loose = attachLines([...given.normal, ...given.faulty], newest, templates);
  const atMs = at?.getTime() ?? startOf(given.faulty);
  const compare = (split: Split): Compared => {
    const [before, after] = [new ProfileBuilder(reader.keys), new ProfileBuilder(reader.keys)];
    for (const trace of split.normal) before.add(trace);
    for (const trace of split.faulty) after.add(trace);
    before.addLoose(
      loose.filter((line) => line.atMs < split.untilMs),
      templates,
    );
    after.addLoose(
      loose.filter((line) => line.atMs >= split.fromMs && line.atMs < split.fromMs + looseMs),
      templates,
    );
    const profiles = { before: before.profile(), after: after.profile() };
    return { ...profiles, changes: changesOf(profiles.before, profiles.after) };
  };
  if (at === undefined) {
    return { ...compare({ ...given, untilMs: atMs, fromMs: atMs }), atMs, changedAtMs: undefined };
  }
  const sure = sureSplit(given, atMs);
  const whole = compare(sure);
  // Much that is well may hide the trouble: what is surely after the time shows it, and then when it began.
  const late = given.faulty.filter(({ startMs }) => startMs >= atMs + uncertainMs);
  let surely: Compared | undefined;
  let changedAtMs = changeTime(allOf(whole.changes), whole.after, atMs);
  if (changedAtMs === undefined && late.length >= minTraces) {
    surely = compare({ ...sure, faulty: late, fromMs: atMs + uncertainMs });
    changedAtMs = changeTime(allOf(surely.changes), whole.after, atMs);
  }
  if (changedAtMs !== undefined) return { ...compare(partedAt(given, changedAtMs)), atMs, changedAtMs };
  // No time stands out where everything after it is wrong and little before is known. Then it is as given, unless more is
  // wrong in the parts that a time some way off would leave.
  const asGiven = compare({ ...sure, faulty: given.faulty, fromMs: atMs });
  const others = surely === undefined ? [whole] : [whole, surely];
  const other = others.reduce((most, one) => (strengthOf(one) > strengthOf(most) ? one : most));
  const chosen = strengthOf(other) > otherStrength * strengthOf(asGiven) ? other : asGiven;
  return { ...chosen, atMs, changedAtMs };
}

type Compared = Omit<ComparedWindows, 'atMs' | 'changedAtMs'>;

/** How much more must be wrong for another time than the one given. */
const otherStrength = 2;

/** How much is wrong, whatever the kind. */
function strengthOf({ changes: { slower, failing, happenings }, before }: Compared): number {
  const sum = (some: readonly Change[]): number => some.reduce((all, { perTrace }) => all + perTrace, 0);
  return sum(slower) / Math.max(1, before.traceMs) + 10 * sum(failing) + 0.2 * sum(happenings);
}

interface Split {
  readonly normal: readonly TraceSteps[];
  readonly faulty: readonly TraceSteps[];
  /** Lines before this are normal, from this on they are not. */
  readonly untilMs: number;
  readonly fromMs: number;
}

interface Given {
  readonly normal: readonly TraceSteps[];
  readonly faulty: readonly TraceSteps[];
}

/** Leaves out of what is normal all that may have seen the trouble already, if enough remains. */
function sureSplit(given: Given, atMs: number): Split {
  const untilMs = atMs - uncertainMs;
  const sure = given.normal.filter(({ startMs }) => startMs < untilMs);
  if (sure.length < Math.max(minTraces, 0.2 * given.normal.length)) return { ...given, untilMs: atMs, fromMs: atMs };
  const unsure = given.normal.filter(({ startMs }) => startMs >= untilMs);
  return { normal: sure, faulty: [...unsure, ...given.faulty], untilMs, fromMs: untilMs };
}

function partedAt(given: Given, changedAtMs: number): Split {
  const all = [...given.normal, ...given.faulty];
  const untilMs = changedAtMs - guardMs;
  return {
    normal: all.filter(({ startMs }) => startMs < untilMs),
    faulty: all.filter(({ startMs }) => startMs >= changedAtMs),
    untilMs,
    fromMs: changedAtMs,
  };
}

function changesOf(before: Profile, after: Profile): WindowChanges {
  const happenings = changedHappenings(before, after);
  if (before.traces < minTraces || after.traces < minTraces) return { ...nothing, happenings };
  return { slower: slowerPlaces(before, after), failing: failingPlaces(before, after), happenings };
}

function allOf({ slower, failing, happenings }: WindowChanges): Change[] {
  // Times are in milliseconds, the others in shares: each kind counts as one whole.
  return [slower, failing, happenings].flatMap((changes) => {
    const whole = changes.reduce((sum, { perTrace }) => sum + perTrace, 0);
    return changes.map((change) => ({ ...change, perTrace: change.perTrace / Math.max(whole, 1e-9) }));
  });
}

function startOf(traces: readonly TraceSteps[]): number {
  return traces.reduce((first, { startMs }) => Math.min(first, startMs), Number.POSITIVE_INFINITY);
}

/** Which services call which, as the traces say. */
export function edgesOf(profiles: readonly Profile[]): CallEdge[] {
  const edges = new Map<string, CallEdge>();
  for (const { happenings, runs } of profiles) {
    for (const { run, called } of happenings.values()) {
      const [client, server] = [runs.get(run)?.service, runs.get(called ?? '')?.service];
      if (client !== undefined && server !== undefined) edges.set(`${client}\n${server}`, { client, server });
    }
  }
  return [...edges.values()];
}
