import type { Clock, SecretSelector, SecretValue } from '@mnops/core/spi';

/** Limits of a cache. */
export interface CacheLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** One answer that is kept: a value, or the fact that there is none. */
export interface CacheEntry {
  readonly key: string;
  readonly path: string;
  readonly value: SecretValue | undefined;
  /** The value as a promise, made once: handing it out costs a warm read no allocation. */
  readonly resolved: Promise<SecretValue | undefined>;
  /** On the monotonic clock. */
  readonly loadedAt: number;
  /** On the monotonic clock. */
  readonly freshUntil: number;
  /** Wall clock; `Infinity` without an expiry. */
  readonly expiresAtMs: number;
  readonly sizeBytes: number;
  /** Read since the last look for something to evict. */
  used: boolean;
  /** No further attempt to refresh before this instant, on the monotonic clock. */
  retryAt: number;
  failures: number;
}

/** What a value takes beside its bytes, roughly. */
const overheadBytes = 256;

/**
 * Key of an answer: everything that changes the value is in it. A plain read of a path has the path itself as its key, so
 * that the common read needs no other text; the others begin with a character that no path has.
 */
export function cacheKey(path: string, { version, stage }: SecretSelector): string {
  if (version === undefined && stage === undefined) return path;
  return `\0${path}\0${version === undefined ? '-' : `v${version}`}\0${stage === undefined ? '-' : `s${stage}`}`;
}

/**
 * Answers by key, bounded in number and bytes. When it is full, an entry goes that was not read since the last look; the
 * `used` mark stands for the order that a strict LRU would have to keep at each read.
 */
export class ReadCache {
  readonly #limits: CacheLimits;
  readonly #entries = new Map<string, CacheEntry>();
  readonly #keysByPath = new Map<string, Set<string>>();
  #bytes = 0;
  #evictions = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get evictions(): number {
    return this.#evictions;
  }

  get(key: string): CacheEntry | undefined {
    return this.#entries.get(key);
  }

  /** Keeps an answer; one that is larger than the whole cache is not kept. */
  set(
    key: string,
    path: string,
    value: SecretValue | undefined,
    freshForMs: number,
    clock: Pick<Clock, 'monotonic'>,
  ): void {
    this.delete(key);
    const sizeBytes = overheadBytes + 2 * key.length + (value === undefined ? 0 : value.bytes().length);
    if (sizeBytes > this.#limits.maxBytes || freshForMs <= 0) return;
    const loadedAt = clock.monotonic();
    const expiresAtMs = value?.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
    const freshUntil = loadedAt + freshForMs;
    const facts = { key, path, value, resolved: Promise.resolve(value), loadedAt, freshUntil, expiresAtMs, sizeBytes };
    this.#entries.set(key, { ...facts, used: false, retryAt: 0, failures: 0 });
    this.#bytes += sizeBytes;
    const keys = this.#keysByPath.get(path);
    if (keys === undefined) this.#keysByPath.set(path, new Set([key]));
    else keys.add(key);
    this.#shrink();
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.sizeBytes;
    const keys = this.#keysByPath.get(entry.path);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysByPath.delete(entry.path);
  }

  /** Forgets every answer about a path, whichever version or stage. */
  deletePath(path: string): void {
    for (const key of [...(this.#keysByPath.get(path) ?? [])]) this.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#keysByPath.clear();
    this.#bytes = 0;
  }

  #shrink(): void {
    while (this.#entries.size > this.#limits.maxEntries || this.#bytes > this.#limits.maxBytes) {
      const [oldest] = this.#entries.values();
      if (oldest === undefined) return;
      if (oldest.used) {
        oldest.used = false;
        this.#entries.delete(oldest.key);
        this.#entries.set(oldest.key, oldest);
      } else {
        this.delete(oldest.key);
        this.#evictions += 1;
      }
    }
  }
}
