import { UnsupportedError } from '@mnops/core';
import type { CallOptions, SecretChange, SecretRecord } from '@mnops/core/spi';
import type { SecretsCore } from '../secrets-core.js';
import { changeFeed } from '../store/change-feed.js';

/** Facts by path at one moment. */
type Snapshot = ReadonlyMap<string, string>;

const defaultPollMs = 300_000;

/**
 * Changes below a prefix that one actor may see, until the signal aborts or the manager is stopped. Where the provider does
 * not tell of changes, its list is compared every `cache.ttlMs`.
 */
export async function* watchSecrets(
  core: SecretsCore,
  actor: string,
  prefix: string,
  { signal }: Pick<CallOptions, 'signal'>,
): AsyncGenerator<SecretChange, void> {
  const end = AbortSignal.any([core.ended, ...(signal === undefined ? [] : [signal])]);
  const polled = core.provider.watch === undefined || core.provider.capabilities.watch === 'none';
  // A watch begins before the first look, so that nothing is missed in between.
  const own = changeFeed();
  const changes = (polled ? own : core.feed).watch(prefix, end);
  const poller = polled ? new Poller(core, prefix, (path) => own.publish({ path })) : undefined;
  await poller?.start();
  try {
    for await (const change of changes) {
      const { path } = change;
      if (path === undefined || core.policy.explain(actor, 'list', path).allowed) yield change;
    }
  } finally {
    poller?.stop();
    own.close();
  }
}

/** Refused before anything is asked: a provider that tells of nothing and cannot be listed. */
export function assertWatchable({ provider }: SecretsCore): void {
  const { watch, list } = provider.capabilities;
  if (watch !== 'none' || list) return;
  throw new UnsupportedError(`The provider ${provider.id} does not have the capabilities watch and list.`, {
    provider: provider.id,
    details: { ability: 'watch' },
  });
}

/** Compares the list of a provider again and again. */
class Poller {
  readonly #core: SecretsCore;
  readonly #prefix: string;
  readonly #changed: (path: string) => void;
  #before: Snapshot = new Map();
  #timer: { cancel(): void } | undefined;
  #stopped = false;

  constructor(core: SecretsCore, prefix: string, changed: (path: string) => void) {
    this.#core = core;
    this.#prefix = prefix;
    this.#changed = changed;
  }

  async start(): Promise<void> {
    this.#before = await this.#look();
    this.#plan();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #plan(): void {
    const { cache, clock } = this.#core.settings;
    const everyMs = cache?.ttlMs ?? defaultPollMs;
    if (this.#stopped) return;
    this.#timer = clock.setTimer(everyMs * (1 - 0.2 * Math.random()), () => void this.#compare());
  }

  async #compare(): Promise<void> {
    try {
      const after = await this.#look();
      const before = this.#before;
      this.#before = after;
      for (const [path, facts] of after) if (before.get(path) !== facts) this.#tell(path);
      for (const path of before.keys()) if (!after.has(path)) this.#tell(path);
    } catch {
      // The next look compares with the same facts, so nothing is missed but time.
    }
    this.#plan();
  }

  #tell(path: string): void {
    this.#core.reader.invalidate(path);
    this.#changed(path);
  }

  #look(): Promise<Snapshot> {
    return this.#core.provide({}, async (call) => {
      const snapshot = new Map<string, string>();
      for await (const record of this.#core.provider.list(this.#prefix, call))
        snapshot.set(record.path, factsOf(record));
      return snapshot;
    });
  }
}

function factsOf({ version, stages, updatedAtMs, expiresAtMs, deletedAtMs }: SecretRecord): string {
  return JSON.stringify([version, Object.entries(stages).sort(), updatedAtMs, expiresAtMs, deletedAtMs]);
}
