import { coreError } from '@mnops/core';
import type { AnalysisEngine } from '../analysis/analysis-engine.js';
import { EdgeTable } from '../analysis/edge-table.js';
import { LatencySketch } from '../analysis/latency-sketch.js';
import type { OperationFilter, PerformanceBaseline } from '../analysis/operation-table.js';
import { type ServiceMap, serviceMapOf } from '../analysis/service-map.js';
import { apmError } from '../codes.js';
import type { ResolvedConfig } from '../config.js';
import { randomIds } from '../tracing/random-ids.js';
import type { APMSnapshot } from './apm-snapshot.js';
import { choiceAt, invalid, listAt, numberAt, recordAt } from './fields.js';
import { readSource, type Source, sourceState } from './source-state.js';

/** What bounds the figures of other processes. */
export interface SharedFiguresOptions {
  /** Estimated bytes of all of them together. */
  readonly maxBytes: number;
  /** Services and edges kept apart in a joined map. */
  readonly maxDependencies: number;
}

/** Figures of other processes held here. */
export interface SharedStats {
  readonly sources: number;
  readonly bytes: number;
  /** Sources let go because there were too many, or too many bytes. */
  readonly evictedSources: number;
}

const maxSources = 256;

/**
 * What this process learned, together with what it was told by others.
 *
 * The newest state of every source is kept as it came, and sums are made in the order of the sources' ids when they are
 * asked for; so it does not matter in which order, or how often, snapshots arrive.
 */
export class SharedFigures {
  readonly #engine: AnalysisEngine | undefined;
  readonly #options: SharedFiguresOptions;
  readonly #now: () => number;
  readonly #others = new Map<string, Source>();
  /** Not a secret: `node:crypto` would be loaded for nothing else. */
  #id = randomIds().generateSpanId();
  #sequence = 0;
  #evicted = 0;

  constructor(engine: AnalysisEngine | undefined, options: SharedFiguresOptions, now: () => number) {
    this.#engine = engine;
    this.#options = options;
    this.#now = now;
  }

  /** Name of this process among the sources. */
  get id(): string {
    return this.#id;
  }

  get stats(): SharedStats {
    return { sources: this.#others.size, bytes: this.#bytes, evictedSources: this.#evicted };
  }

  /** What this process learned itself. */
  own(): Omit<Source, 'bytes'> {
    const engine = this.#analysis();
    const atMs = this.#now();
    // Times, so that a process that goes on from older numbers is still ahead of what it told others before.
    this.#sequence = Math.max(this.#sequence + 1, Math.floor(atMs));
    return {
      id: this.#id,
      sequence: this.#sequence,
      atMs,
      operations: [...engine.known()],
      map: engine.edges.contents(),
    };
  }

  export(): APMSnapshot {
    return {
      format: 'mnops-apm-snapshot',
      version: 1,
      bucketsPerOctave: LatencySketch.bucketsPerOctave,
      sources: [this.own(), ...this.#others.values()].map(sourceState),
    };
  }

  /** Takes all of a snapshot, or nothing of it. */
  merge(snapshot: unknown): void {
    this.#analysis();
    const sources = readSnapshot(snapshot, this.#options.maxBytes);
    for (const source of sources) this.include(source);
  }

  /** Takes one source, unless it is this process or a newer state of it is here. */
  include(source: Source): void {
    const known = this.#others.get(source.id);
    if (source.id === this.#id || (known !== undefined && known.sequence >= source.sequence)) return;
    this.#others.set(source.id, source);
    while (this.#others.size > maxSources || this.#bytes > this.#options.maxBytes) {
      const oldest = [...this.#others.values()].reduce((a, b) => (compareAge(a, b) <= 0 ? a : b));
      this.#others.delete(oldest.id);
      this.#evicted += 1;
    }
  }

  /** This process goes on where another one ended: under its name, with what it knew. */
  adopt(source: Source): void {
    const engine = this.#analysis();
    this.#id = source.id;
    this.#sequence = Math.max(this.#sequence, source.sequence);
    engine.restore(source, this.#now());
  }

  baselines(filter: OperationFilter): PerformanceBaseline[] {
    const engine = this.#engine;
    if (engine === undefined) return [];
    const atMs = filter.at?.getTime() ?? this.#now();
    if (this.#others.size === 0) return engine.operations.baselines(filter, atMs, engine.known());
    const known = this.#inOrder({ id: this.#id, operations: [...engine.known()] });
    return engine.operations.baselines(
      filter,
      atMs,
      known.flatMap(({ operations }) => operations),
    );
  }

  map(): ServiceMap {
    const { edges } = this.#analysis();
    if (this.#others.size === 0) return serviceMapOf(edges);
    const joined = new EdgeTable({ maxEdges: this.#options.maxDependencies, maxPending: Number.POSITIVE_INFINITY });
    const sources = this.#inOrder({ id: this.#id, map: edges.contents() });
    joined.absorb(
      sources.map(({ map }) => map),
      0,
    );
    return serviceMapOf(joined);
  }

  get #bytes(): number {
    let bytes = 0;
    for (const source of this.#others.values()) bytes += source.bytes;
    return bytes;
  }

  #inOrder<T extends { readonly id: string }>(own: T): (T | Source)[] {
    return [own, ...this.#others.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #analysis(): AnalysisEngine {
    if (this.#engine !== undefined) return this.#engine;
    throw coreError('MNOPS_CORE_UNSUPPORTED', 'There are no figures to share: the analysis is off.', {
      remedy: 'Leave out `analysis: false`.',
    });
  }
}

/** Which of two sources is given up first, whatever order they came in. */
function compareAge(a: Source, b: Source): number {
  return a.atMs - b.atMs || (a.id < b.id ? -1 : 1);
}

/**
 * @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong, `MNOPS_APM_SKETCH_MISMATCH` for
 * sketches of another resolution.
 */
export function readSnapshot(value: unknown, maxBytes: number): Source[] {
  const snapshot = recordAt(value, 'snapshot');
  choiceAt(snapshot, 'format', 'snapshot', ['mnops-apm-snapshot']);
  if (numberAt(snapshot, 'version', 'snapshot') !== 1) throw invalid('snapshot.version', '1');
  const resolution = numberAt(snapshot, 'bucketsPerOctave', 'snapshot');
  if (resolution !== LatencySketch.bucketsPerOctave) {
    const message = `The snapshot's sketches have ${resolution} buckets per power of two, those here ${LatencySketch.bucketsPerOctave}.`;
    throw apmError('MNOPS_APM_SKETCH_MISMATCH', message, { details: { field: 'snapshot.bucketsPerOctave' } });
  }
  return listAt(snapshot, 'sources', 'snapshot', maxSources + 1).map((source, index) =>
    readSource(source, `snapshot.sources[${index}]`, maxBytes),
  );
}

/** The figures of a manager with these options. */
export function sharedFigures(config: ResolvedConfig, engine: AnalysisEngine | undefined): SharedFigures {
  const { maxBytes, maxDependencies } = config.analysis ?? { maxBytes: 0, maxDependencies: 0 };
  return new SharedFigures(engine, { maxBytes, maxDependencies }, () => config.clock.now());
}
