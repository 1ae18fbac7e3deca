import { codeOf } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import { type RetryBudget, type SharedCall, singleFlight } from '@mnops/core/resilience';
import type { Call, CallOptions, Clock, SecretProvider, SecretSelector, SecretValue } from '@mnops/core/spi';
import { toSecretValue, toStaleValue } from '../secret-value.js';
import type { CacheSettings, RetrySettings } from '../settings.js';
import { BatchLoader } from './batch.js';
import { type CacheEntry, cacheKey, ReadCache } from './cache.js';

/** What a read answered, and from where. */
export interface ReadAnswer {
  readonly value: SecretValue | undefined;
  /** Whether no call to the provider was needed. */
  readonly cached: boolean;
}

/** What a read may be told beside the path. */
export interface ReadRequest extends SecretSelector, CallOptions {
  readonly maxAgeMs?: number | undefined;
}

/** What a reader works with. */
export interface ReaderOptions {
  readonly provider: SecretProvider;
  /** Resolves once the provider is open. */
  readonly opened: () => Promise<void>;
  readonly cache: CacheSettings | undefined;
  readonly retry: RetrySettings;
  readonly budget: RetryBudget;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly random: () => number;
  /** Hears of every value that came from the provider. */
  readonly onLoaded: (value: SecretValue) => void;
}

/** Counters of a reader since it was made. */
export interface ReadStats {
  hits: number;
  misses: number;
  staleServed: number;
  /** Calls to the provider, retries included. */
  providerCalls: number;
  retries: number;
}

const transient: readonly (string | undefined)[] = [
  'MNOPS_CORE_UNAVAILABLE',
  'MNOPS_CORE_THROTTLED',
  'MNOPS_CORE_TIMEOUT',
];
const firstBackOffMs = 1_000;
const longestBackOffMs = 60_000;

/** Reads through the cache, one call to the provider per key at a time. */
export class SecretReader {
  readonly stats: ReadStats = { hits: 0, misses: 0, staleServed: 0, providerCalls: 0, retries: 0 };
  readonly cache: ReadCache | undefined;
  readonly #options: ReaderOptions;
  readonly #clock: Clock;
  readonly #flights;
  readonly #loader: BatchLoader;
  /** Keys under way by path, so that a write can cut them off. */
  readonly #loading = new Map<string, Set<string>>();

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#clock = options.clock;
    const { provider, retry, budget, clock, random } = options;
    const onCall = (): void => {
      this.stats.providerCalls += 1;
    };
    const onRetry = (): void => {
      this.stats.retries += 1;
    };
    this.#loader = new BatchLoader({ provider, retry, budget, clock, random, onCall, onRetry });
    this.#flights = singleFlight<string, SecretValue | undefined>({ clock: options.clock });
    this.cache = options.cache === undefined ? undefined : new ReadCache(options.cache);
  }

  /** The current value while the cache has it fresh and unexpired: the read that happens a million times. */
  fresh(path: string): CacheEntry | undefined {
    const entry = this.cache?.get(path);
    if (entry?.value === undefined || entry.path !== path) return undefined;
    if (this.#clock.monotonic() >= entry.freshUntil) return undefined;
    if (entry.expiresAtMs !== Number.POSITIVE_INFINITY && this.#clock.now() >= entry.expiresAtMs) return undefined;
    entry.used = true;
    this.stats.hits += 1;
    return entry;
  }

  async read(path: string, request: ReadRequest = {}): Promise<ReadAnswer> {
    const key = cacheKey(path, request);
    const entry = request.maxAgeMs === 0 ? undefined : this.cache?.get(key);
    if (entry !== undefined) {
      const served = this.#serve(entry, request);
      if (served !== undefined) return served;
    }
    this.stats.misses += 1;
    try {
      return { value: await this.#load(path, key, request), cached: false };
    } catch (error) {
      const stale = request.maxAgeMs === undefined ? this.#staleAfter(key, error) : undefined;
      if (stale === undefined) throw error;
      return { value: stale, cached: true };
    }
  }

  /** Whatever was read of a path before now is not used any more. */
  invalidate(path: string): void {
    this.cache?.deletePath(path);
    for (const key of this.#loading.get(path) ?? []) this.#flights.forget(key);
  }

  invalidateAll(): void {
    this.cache?.clear();
    for (const keys of this.#loading.values()) for (const key of keys) this.#flights.forget(key);
  }

  /** An answer from the cache, if one may be given; begins a refresh when the answer is past its time. */
  #serve(entry: CacheEntry, request: ReadRequest): ReadAnswer | undefined {
    const { clock, cache } = this.#options;
    const now = clock.monotonic();
    const { maxAgeMs } = request;
    if (clock.now() >= entry.expiresAtMs) {
      this.cache?.delete(entry.key);
      return undefined;
    }
    if (maxAgeMs !== undefined && now - entry.loadedAt > maxAgeMs) return undefined;
    const fresh = now < entry.freshUntil;
    const revalidating = maxAgeMs === undefined && now < entry.freshUntil + (cache?.staleWhileRevalidateMs ?? 0);
    const waiting = now < entry.retryAt && now < entry.freshUntil + (cache?.staleOnErrorMs ?? 0);
    if (!fresh && !revalidating && !(waiting && maxAgeMs === undefined)) return undefined;
    // The absence of a secret is not served past its time: somebody may wait for it to appear.
    if (!fresh && entry.value === undefined) return undefined;
    entry.used = true;
    this.stats.hits += 1;
    if (fresh) return { value: entry.value, cached: true };
    if (revalidating && now >= entry.retryAt) this.#refresh(entry);
    if (revalidating) return { value: entry.value, cached: true };
    return { value: this.#stale(entry), cached: true };
  }

  #refresh(entry: CacheEntry): void {
    const { version, stage } = selectorOf(entry);
    // One attempt at a time: until this one answers, the others are served and begin nothing.
    entry.retryAt = this.#options.clock.monotonic() + this.#options.timeoutMs;
    // The reader who found it old goes on first: what a call to the provider takes to begin is not its to wait for.
    setImmediate(() => {
      this.#load(entry.path, entry.key, { version, stage }).catch((error: unknown) => {
        this.#backOff(entry, error);
      });
    });
  }

  #staleAfter(key: string, error: unknown): SecretValue | undefined {
    const entry = this.cache?.get(key);
    if (entry === undefined) return undefined;
    const { clock, cache } = this.#options;
    // Whoever waited for the same attempt hears of one failure, which counts once.
    const isCounted = transient.includes(codeOf(error)) && clock.monotonic() < entry.retryAt;
    if (!isCounted && !this.#backOff(entry, error)) return undefined;
    if (entry.value === undefined) return undefined;
    if (clock.monotonic() >= entry.freshUntil + (cache?.staleOnErrorMs ?? 0)) return undefined;
    if (clock.now() >= entry.expiresAtMs) return undefined;
    return this.#stale(entry);
  }

  /** Notes a failed refresh; an error that is not an outage ends the entry at once. */
  #backOff(entry: CacheEntry, error: unknown): boolean {
    if (!transient.includes(codeOf(error))) {
      if (codeOf(error) !== undefined && this.cache?.get(entry.key) === entry) this.cache.delete(entry.key);
      return false;
    }
    const backOffMs = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(entry.failures, 10));
    entry.failures += 1;
    entry.retryAt = this.#options.clock.monotonic() + backOffMs * (0.5 + this.#options.random() / 2);
    return true;
  }

  #stale(entry: CacheEntry): SecretValue | undefined {
    this.stats.staleServed += 1;
    return entry.value === undefined ? undefined : toStaleValue(entry.value);
  }

  #load(path: string, key: string, request: ReadRequest): Promise<SecretValue | undefined> {
    // A read that wants to be fresh joins only others that want the same, never one that began for an older answer.
    const flight = request.maxAgeMs === undefined ? key : `${key}\0fresh`;
    const { signal, timeoutMs = this.#options.timeoutMs } = request;
    const { version, stage } = request;
    const load = (call: SharedCall): Promise<SecretValue | undefined> =>
      this.#fetch(path, key, flight, { version, stage }, call);
    return this.#flights.run(flight, load, { signal, timeoutMs });
  }

  async #fetch(
    path: string,
    key: string,
    flight: string,
    at: SecretSelector,
    call: SharedCall,
  ): Promise<SecretValue | undefined> {
    const keys = this.#loading.get(path) ?? new Set();
    this.#loading.set(path, keys.add(flight));
    try {
      const value = await this.fetch(path, at, call);
      if (call.isCurrent()) this.#keep(key, path, value);
      return value;
    } finally {
      keys.delete(flight);
      if (keys.size === 0 && this.#loading.get(path) === keys) this.#loading.delete(path);
    }
  }

  /** One value from the provider, with retries; the cache is neither asked nor filled. */
  async fetch(path: string, at: SecretSelector, call: Call): Promise<SecretValue | undefined> {
    const { provider, opened, onLoaded } = this.#options;
    await opened();
    return await traced('mnops:secrets:refresh', { provider: provider.id, path }, async (context) => {
      const stored = await this.#loader.load(path, at, call);
      if (stored === undefined) {
        context['outcome'] = 'absent';
        return undefined;
      }
      context['version'] = stored.version;
      context['outcome'] = 'ok';
      const value = toSecretValue(path, provider.id, stored);
      onLoaded(value);
      return value;
    });
  }

  #keep(key: string, path: string, value: SecretValue | undefined): void {
    const { cache, clock, random } = this.#options;
    if (cache === undefined) return;
    const ttlMs = value === undefined ? cache.negativeTtlMs : cache.ttlMs * (1 - cache.jitter * random());
    this.cache?.set(key, path, value, ttlMs, clock);
  }
}

function selectorOf({ key, path }: CacheEntry): SecretSelector {
  if (key === path) return {};
  const [version = '-', stage = '-'] = key.slice(path.length + 2).split('\0');
  return {
    version: version === '-' ? undefined : version.slice(1),
    stage: stage === '-' ? undefined : stage.slice(1),
  };
}
