import { codeOf, coreError } from '@mnops/core';
import { type KeyRing, keyRing, rewrapEnvelope } from '@mnops/core/crypto';
import type { RecordLog } from '@mnops/core/files';
import type {
  Call,
  Clock,
  KeyWrapper,
  SecretChange,
  SecretPutOptions,
  SecretVersionRecord,
  StorageDamage,
} from '@mnops/core/spi';
import type { Mutation } from '../../store/mutation.js';
import type { VersionStore } from '../../store/version-store.js';
import { encodeChange, newKeyRecord, openValue, sealValue, type VaultChange, type VaultKeys } from './vault-format.js';
import { explainKeyFailure, keysLost, VaultReader } from './vault-reader.js';
import { VaultWriter } from './vault-writer.js';

/** Above this size a file is compacted when less than half of it is still needed. */
const compactAboveBytes = 4 * 1024 * 1024;

/** What a check of a whole vault found. */
export interface VaultVerification {
  /** Whether nothing was found. */
  readonly intact: boolean;
  /** Values that opened. */
  readonly values: number;
  /** Records that are lost. */
  readonly damage: readonly StorageDamage[];
  /** Values that did not open, by path and version. */
  readonly unreadable: readonly { readonly path: string; readonly version: string; readonly code: string }[];
}

/** What a vault file is made with. */
export interface VaultFileOptions {
  readonly file: string;
  readonly key: KeyRing | KeyWrapper;
  readonly clock: Pick<Clock, 'now'>;
  readonly onChange: (change: SecretChange) => void;
}

/** One vault file: what it says now, and how it is changed. */
export class VaultFile {
  readonly file: string;
  readonly #options: VaultFileOptions;
  readonly #reader: VaultReader;
  readonly #writer: VaultWriter;
  #key: KeyRing | KeyWrapper;
  #closed = false;

  constructor(options: VaultFileOptions) {
    this.file = options.file;
    this.#options = options;
    this.#key = options.key;
    this.#reader = new VaultReader(options.file, () => this.#key, options.onChange);
    this.#writer = new VaultWriter(options.file);
  }

  get store(): VersionStore<Uint8Array> {
    return this.#reader.store;
  }

  get damage(): readonly StorageDamage[] {
    return this.#reader.damage;
  }

  get lastChangeMs(): number | undefined {
    return this.#reader.lastChangeMs;
  }

  get position(): string {
    return this.#reader.position;
  }

  get key(): KeyRing | KeyWrapper {
    return this.#key;
  }

  async refresh(call: Call): Promise<void> {
    this.assertOpen();
    await this.#reader.refresh(call);
  }

  /** While nothing is sealed yet: the key for the first write is there, or may be made. */
  async openKey(call: Call): Promise<void> {
    if (this.#reader.keys !== undefined) return;
    try {
      await this.#wrapper.open?.(call);
    } catch (error) {
      throw await explainKeyFailure(this.file, this.#options.key, error);
    }
  }

  openValue(path: string, version: number, envelope: Uint8Array, call: Call): Promise<Uint8Array> {
    const keys = this.#reader.keys;
    if (keys === undefined) throw keysLost(this.file);
    return openValue(this.#key, keys.vaultId, { path, version, envelope }, call);
  }

  put(path: string, value: Uint8Array, options: SecretPutOptions, call: Call): Promise<SecretVersionRecord> {
    return this.exclusively(call, async (log) => {
      const keys = await this.#keysFor(log, call);
      const skip = this.#reader.lostVersions(path);
      const planned = this.store.planPut(path, options, this.#options.clock.now(), skip);
      if (!('kind' in planned)) return planned;
      const { version } = planned;
      const envelope = await sealValue(this.#wrapper, keys.vaultId, { path, version, value }, call);
      await this.#append(log, keys, { mutation: planned, envelope }, call);
      return this.store.versions(path).find((record) => record.version === String(version))!;
    });
  }

  /** Plans a change under the lock and writes it; a plan without a change writes nothing. */
  change(call: Call, plan: () => Mutation | undefined): Promise<void> {
    return this.exclusively(call, async (log) => {
      const mutation = plan();
      if (mutation === undefined) return;
      await this.#append(log, await this.#keysFor(log, call), { mutation }, call);
    });
  }

  /** Runs work while no other process can write, on a state that is up to date. */
  exclusively<T>(call: Call, work: (log: RecordLog) => Promise<T>): Promise<T> {
    this.assertOpen();
    return this.#writer.run(call, async (log) => {
      await this.#reader.refresh(call);
      return await work(log);
    });
  }

  /** Puts another file in this one's place while no other process can write, also when this one is absent or unreadable. */
  async takeOver(call: Call, replace: () => Promise<void>): Promise<void> {
    this.assertOpen();
    await this.#writer.alone(call, replace);
    await this.#reader.refresh(call);
    this.#options.onChange({});
  }

  async compact(call: Call): Promise<void> {
    await this.exclusively(call, (log) => this.#compact(log, call));
  }

  /**
   * Every data key is wrapped by another key; the sealed values stay as they are. The file that says so takes the old one's
   * place in one step, so a crash leaves one or the other whole.
   */
  async rewrap(to: KeyWrapper, progress: (done: number, of: number) => void, call: Call): Promise<number> {
    return await this.exclusively(call, async (log) => {
      const before = this.#reader.keys;
      const entries = [...this.store.summary()];
      const values = entries.filter(({ value }) => value !== undefined).length;
      if (before !== undefined) {
        const wrapped: (Uint8Array | undefined)[] = [];
        let done = 0;
        for (const { value } of entries) {
          call.signal.throwIfAborted();
          wrapped.push(value === undefined ? undefined : await rewrapEnvelope(this.#key, to, value, call));
          if (value === undefined) continue;
          done += 1;
          progress(done, values);
        }
        const made = await newKeyRecord(to, call, before.vaultId);
        await log.rewrite(
          payloads(
            made,
            entries.map(({ mutation }, index) => ({ mutation, envelope: wrapped[index] })),
          ),
        );
      }
      // What other processes have not read yet was written with the old keys.
      const { current, previous } = this.#key.kind === 'key-ring' ? this.#key : { current: this.#key, previous: [] };
      this.#key = keyRing(to, [current, ...previous]);
      await this.#reader.refresh(call);
      return values;
    });
  }

  async verify(call: Call): Promise<VaultVerification> {
    await this.refresh(call);
    const unreadable: { path: string; version: string; code: string }[] = [];
    let values = 0;
    for (const { mutation, value } of this.store.summary()) {
      if (mutation.kind !== 'version' || value === undefined) continue;
      try {
        (await this.openValue(mutation.path, mutation.version, value, call)).fill(0);
        values += 1;
      } catch (error) {
        const { path, version } = mutation;
        unreadable.push({ path, version: String(version), code: codeOf(error) ?? 'unknown' });
      }
    }
    const { damage } = this;
    return { intact: damage.length === 0 && unreadable.length === 0, values, damage, unreadable };
  }

  assertOpen(): void {
    if (this.#closed)
      throw coreError('MNOPS_CORE_CLOSED', `The vault ${this.file} is closed.`, { provider: 'encrypted-file' });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writer.close();
    await this.#reader.close();
  }

  get #wrapper(): KeyWrapper {
    const key = this.#key;
    return key.kind === 'key-ring' ? key.current : key;
  }

  async #keysFor(log: RecordLog, call: Call): Promise<VaultKeys> {
    if (this.#reader.keys !== undefined) return this.#reader.keys;
    if (log.nextSequence > 0) throw keysLost(this.file);
    const { keys, record } = await newKeyRecord(this.#wrapper, call);
    await log.append([record, record]);
    return keys;
  }

  async #append(log: RecordLog, keys: VaultKeys, change: VaultChange, call: Call): Promise<void> {
    const after = this.#reader.pathBefore(log.nextSequence);
    await log.append(encodeChange(keys, log.nextSequence, { ...change, after }));
    await this.#reader.refresh(call);
    if (log.sizeBytes > compactAboveBytes && this.#liveBytes() < log.sizeBytes / 2) await this.#compact(log, call);
  }

  #liveBytes(): number {
    let bytes = 0;
    for (const { value } of this.store.summary()) bytes += 256 + (value?.length ?? 0);
    return bytes;
  }

  async #compact(log: RecordLog, call: Call): Promise<void> {
    const before = this.#reader.keys;
    if (before === undefined) return;
    const made = await newKeyRecord(this.#wrapper, call, before.vaultId);
    const { store } = this;
    function* changes(): Generator<VaultChange> {
      for (const { mutation, value } of store.summary()) yield { mutation, envelope: value };
    }
    await log.rewrite(payloads(made, changes()));
    await this.#reader.refresh(call);
  }
}

/** The records of a whole new file. */
function* payloads(
  { keys, record }: { readonly keys: VaultKeys; readonly record: Uint8Array },
  changes: Iterable<VaultChange>,
): Generator<Uint8Array> {
  yield record;
  yield record;
  let sequence = 2;
  for (const change of changes) {
    yield encodeChange(keys, sequence, change);
    sequence += 1;
  }
}
