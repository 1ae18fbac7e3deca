import { ownTag } from './backup/parent.js';
import { partialTag } from './backup/run-backup.js';
import { drError } from './codes.js';
import type { Repository } from './repository/repository.js';
import type { Snapshot } from './repository/snapshot.js';

/** A state that can be brought back. */
export interface RecoveryPoint {
  /** Id of the snapshot, 64 hex digits; restic takes the same. */
  readonly id: string;
  /** When its backup began: everything written before is in it. */
  readonly time: Date;
  /** Ids of the sources in it; empty for a point that another program wrote. */
  readonly sources: readonly string[];
  readonly tags: readonly string[];
  /** True when something that was asked for is not in it. */
  readonly partial: boolean;
  readonly hostname: string;
  /** Paths as the program that wrote it names them. */
  readonly paths: readonly string[];
}

/** Which point: the newest complete one, one by its id (or at least 8 digits of it), or the newest at a time. */
export type PointSelector = 'latest' | { readonly id: string } | { readonly time: Date };

/** A point with where its content begins. */
export interface SelectedPoint {
  readonly point: RecoveryPoint;
  readonly snapshot: Snapshot;
}

/** The point as users see it. */
export function pointOf(id: string, snapshot: Snapshot): RecoveryPoint {
  const tags = snapshot.tags ?? [];
  const own = tags.includes(ownTag);
  return {
    id,
    time: new Date(snapshot.time),
    sources: own ? snapshot.paths.map((path) => path.replace(/^\//, '')) : [],
    tags: tags.filter((tag) => tag !== ownTag && tag !== partialTag),
    partial: own && tags.includes(partialTag),
    hostname: snapshot.hostname ?? '',
    paths: snapshot.paths,
  };
}

/**
 * The point that a selector names.
 *
 * @param sources - Sources that it must hold.
 * @throws {MnopsError} `MNOPS_DR_POINT_NOT_FOUND`.
 */
export function selectPoint(
  repository: Repository,
  selector: PointSelector,
  sources: readonly string[] = [],
): SelectedPoint {
  const all = repository.snapshots().snapshots.map(({ id, snapshot }) => ({ point: pointOf(id, snapshot), snapshot }));
  const found = matching(all, selector, sources);
  if (found !== undefined) return found;
  throw drError(
    'MNOPS_DR_POINT_NOT_FOUND',
    `None of ${all.length} recovery points is ${described(selector, sources)}.`,
    {
      details: { points: all.length },
    },
  );
}

function matching(
  all: readonly SelectedPoint[],
  selector: PointSelector,
  sources: readonly string[],
): SelectedPoint | undefined {
  if (typeof selector === 'object' && 'id' in selector) {
    const hits = all.filter(({ point }) => point.id.startsWith(selector.id));
    return selector.id.length >= 8 && hits.length === 1 ? hits[0] : undefined;
  }
  const untilMs = selector === 'latest' ? Number.POSITIVE_INFINITY : selector.time.getTime();
  const fit = all.filter(
    ({ point }) =>
      !point.partial && point.time.getTime() <= untilMs && sources.every((source) => point.sources.includes(source)),
  );
  // Points of other programs in the same repository do not stand in the way of our own.
  return fit.findLast(({ point }) => point.sources.length > 0) ?? fit.at(-1);
}

function described(selector: PointSelector, sources: readonly string[]): string {
  const holding = sources.length === 0 ? '' : ` that holds ${sources.join(', ')}`;
  if (selector === 'latest') return `a complete one${holding}`;
  return 'id' in selector
    ? `the one with this id`
    : `a complete one of ${selector.time.toISOString()} or before${holding}`;
}
