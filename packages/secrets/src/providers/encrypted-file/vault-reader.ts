import { access, stat } from 'node:fs/promises';
import { codeOf, coreError, MnopsError } from '@mnops/core';
import type { KeyRing } from '@mnops/core/crypto';
import { type LogRecord, openRecordLog, type RecordLog } from '@mnops/core/files';
import type { Call, KeyWrapper, SecretChange, StorageDamage } from '@mnops/core/spi';
import { secretsError } from '../../codes.js';
import { VersionStore } from '../../store/version-store.js';
import { decodeChange, isKeyRecord, openKeyRecord, type VaultKeys, vaultMagic, vaultVersion } from './vault-format.js';
import { isVaultLocked } from './vault-writer.js';

const lost = 'Write the secrets anew that are missing, or restore the vault from a backup.';
const torn =
  'None if a process or the machine went down while it wrote: that write had not been acknowledged. ' +
  'Otherwise the file was cut or damaged at its end: restore the vault from a backup.';

/** The state of a vault file, followed as this and other processes append to it or replace it. */
export class VaultReader {
  readonly #file: string;
  readonly #key: () => KeyRing | KeyWrapper;
  readonly #onChange: (change: SecretChange) => void;
  #log: RecordLog | undefined;
  #next: number | undefined;
  #seen = '';
  #store = new VersionStore<Uint8Array>();
  #keys: VaultKeys | undefined;
  #keyFailure: unknown;
  #tampered: StorageDamage[] = [];
  #lastChangeMs: number | undefined;
  /** Where the last value of each path was written. */
  readonly #lastPut = new Map<string, number>();
  /** The last change that could be read. */
  #last: { readonly sequence: number; readonly path: string; readonly end: number } | undefined;
  /** What lost records were about, by the position of the damage. */
  readonly #lostPaths = new Map<number, string>();
  /** The file ends with bytes that may be an append under way. */
  #tailOpen = false;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(file: string, key: () => KeyRing | KeyWrapper, onChange: (change: SecretChange) => void) {
    this.#file = file;
    this.#key = key;
    this.#onChange = onChange;
  }

  get store(): VersionStore<Uint8Array> {
    return this.#store;
  }

  /** Absent while the file is absent or empty. */
  get keys(): VaultKeys | undefined {
    return this.#keys;
  }

  get damage(): readonly StorageDamage[] {
    const found = this.#log?.damage ?? [];
    const others = this.#tampered.filter(({ offset }) => !found.some((each) => each.offset === offset));
    return [...found, ...others].map((each) => {
      const path = this.#lostPaths.get(each.offset);
      return path === undefined ? each : { ...each, path };
    });
  }

  /** Path of the change that has the number before that one, where it could be read. */
  pathBefore(sequence: number): string | undefined {
    return this.#last?.sequence === sequence - 1 ? this.#last.path : undefined;
  }

  /** How many version numbers of a path may have stood in lost records: they are not given again. */
  lostVersions(path: string): number {
    const from = this.#lastPut.get(path) ?? 0;
    return this.damage.reduce((sum, { offset, records }) => (offset > from ? sum + records : sum), 0);
  }

  get lastChangeMs(): number | undefined {
    return this.#lastChangeMs;
  }

  get position(): string {
    return `${this.#log?.id ?? 'none'}:${this.#log?.nextSequence ?? 0}`;
  }

  /** The state is that of the file as it is now. Cheap when nothing changed. */
  refresh(call: Call): Promise<void> {
    const run = this.#queue.then(() => this.#refresh(call));
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#log?.close();
    this.#log = undefined;
  }

  async #refresh(call: Call): Promise<void> {
    call.signal.throwIfAborted();
    const seen = await this.#look();
    if (seen === undefined) return;
    if (seen === this.#seen && this.#keyFailure === undefined && !this.#tailOpen) return;
    if (this.#log === undefined) {
      const log = await this.#openLog();
      if (log === undefined) return;
      this.#log = log;
    }
    const replaced = this.#seen !== '' && inodeOf(seen) !== inodeOf(this.#seen);
    // Also a file without any record may have taken the place.
    if (replaced) this.#reset();
    try {
      await this.#follow(this.#log, replaced, call);
      await this.#judgeTail(this.#log, seen, call);
    } catch (error) {
      // The next look begins anew, with a key that may be there by then.
      await this.#log.close().catch(() => undefined);
      this.#log = undefined;
      this.#reset();
      throw error;
    }
    this.#seen = seen;
  }

  /** Bytes behind the last whole record are an append under way, or damage when nobody is there to end it. */
  async #judgeTail(log: RecordLog, seen: string, call: Call): Promise<void> {
    const size = sizeOf(seen);
    const end = this.#next ?? size;
    const known = (): boolean => this.damage.some(({ offset }) => offset >= end);
    this.#tailOpen = size > end && !known() && (await isVaultLocked(this.#file));
    if (size <= end || known() || this.#tailOpen) return;
    // The append may have ended between the last look and the look at the lock.
    await this.#follow(log, false, call);
    if (this.#next !== end || (await this.#look()) !== seen) {
      this.#tailOpen = true;
      return;
    }
    this.#tampered.push({
      code: 'MNOPS_CORE_STORAGE_DAMAGED',
      file: this.#file,
      offset: end,
      records: 1,
      remedy: torn,
    });
    this.#onChange({});
  }

  /** Identity and size of the file; `undefined` while it is absent. */
  async #look(): Promise<string | undefined> {
    try {
      const { ino, size } = await stat(this.#file);
      return `${ino}:${size}`;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      // Opening it gives the error that names path and reason.
      return 'unknown';
    }
  }

  async #openLog(): Promise<RecordLog | undefined> {
    try {
      return await openRecordLog({ file: this.#file, magic: vaultMagic, version: vaultVersion, readOnly: true });
    } catch (error) {
      if (MnopsError.is(error, 'MNOPS_CORE_STORAGE_FAILED') && error.details?.['reason'] === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #follow(log: RecordLog, replaced: boolean, call: Call): Promise<void> {
    const changed = new Set<string>();
    let anew = replaced;
    for await (const record of log.records({ fromOffset: this.#next })) {
      if (this.#next !== undefined && record.offset < this.#next) {
        this.#reset();
        anew = true;
      }
      this.#next = record.nextOffset;
      if (isKeyRecord(record.payload)) await this.#takeKeys(record.payload, call);
      else this.#takeChange(record, changed);
    }
    if (this.#keys === undefined && this.#keyFailure !== undefined) throw this.#keyFailure;
    if (anew) this.#onChange({});
    else for (const path of changed) this.#onChange({ path });
  }

  /** The file begins with two copies of its key record; the first that opens is taken. */
  async #takeKeys(payload: Uint8Array, call: Call): Promise<void> {
    if (this.#keys !== undefined) return;
    try {
      this.#keys = await openKeyRecord(this.#key(), payload, call);
      this.#keyFailure = undefined;
    } catch (error) {
      this.#keyFailure = await explainKeyFailure(this.#file, this.#key(), error);
    }
  }

  #takeChange({ payload, sequence, offset, nextOffset }: LogRecord, changed: Set<string>): void {
    const keys = this.#keys;
    if (keys === undefined) throw this.#keyFailure ?? keysLost(this.#file);
    try {
      const { mutation, envelope, after } = decodeChange(keys, sequence, payload);
      if (after !== undefined && this.#last?.end !== offset) this.#nameLost(after, offset);
      this.#last = { sequence, path: mutation.path, end: nextOffset };
      this.#store.apply(mutation, envelope);
      changed.add(mutation.path);
      if (mutation.kind === 'put') this.#lastPut.set(mutation.path, offset);
      const atMs = 'atMs' in mutation ? mutation.atMs : 'updatedAtMs' in mutation ? mutation.updatedAtMs : undefined;
      if (atMs !== undefined) this.#lastChangeMs = Math.max(this.#lastChangeMs ?? 0, atMs);
    } catch {
      const damage = { code: 'MNOPS_CORE_INTEGRITY', file: this.#file, offset, records: 1, remedy: lost };
      if (this.#tampered.length < 1_000) this.#tampered.push(damage);
    }
  }

  /** The newest record that is lost before a place was about that path. */
  #nameLost(path: string, before: number): void {
    const end = this.#last?.end ?? 0;
    const gap = this.damage.findLast(({ offset, records }) => records > 0 && offset >= end && offset < before);
    if (gap !== undefined) this.#lostPaths.set(gap.offset, path);
  }

  #reset(): void {
    this.#store = new VersionStore();
    this.#keys = undefined;
    this.#keyFailure = undefined;
    this.#tampered = [];
    this.#lastPut.clear();
    this.#last = undefined;
    this.#lostPaths.clear();
    this.#tailOpen = false;
    this.#next = undefined;
    this.#seen = '';
    this.#lastChangeMs = undefined;
  }
}

function sizeOf(seen: string): number {
  return Number(seen.split(':', 2)[1] ?? 0);
}

function inodeOf(seen: string): string {
  return seen.split(':', 1)[0] ?? '';
}

/** No key, a wrong key and a changed record are different things to somebody who has to act. */
export async function explainKeyFailure(file: string, key: KeyRing | KeyWrapper, error: unknown): Promise<unknown> {
  const missing = await missingKeyFile(key);
  if (missing !== undefined) {
    return secretsError('MNOPS_SECRETS_SEALED', `The vault ${file} is sealed: there is no key file ${missing}.`, {
      provider: 'encrypted-file',
      details: { path: file, keyFile: missing },
    });
  }
  if (!MnopsError.is(error)) return error;
  if (error.code === 'MNOPS_CORE_KEY_INVALID' && error.details?.['path'] === undefined) {
    return coreError('MNOPS_CORE_KEY_INVALID', `The key does not open the vault ${file}. ${error.message}`, {
      provider: 'encrypted-file',
      details: { ...error.details, path: file, field: 'key' },
      cause: error,
    });
  }
  return error;
}

async function missingKeyFile(key: KeyRing | KeyWrapper): Promise<string | undefined> {
  const wrapper: KeyWrapper & { readonly file?: unknown } = key.kind === 'key-ring' ? key.current : key;
  if (typeof wrapper.file !== 'string') return undefined;
  try {
    await access(wrapper.file);
    return undefined;
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? wrapper.file : undefined;
  }
}

/** Records without any copy of the keys that open them. */
export function keysLost(file: string): Error {
  return coreError('MNOPS_CORE_STORAGE_UNREADABLE', `Cannot open ${file}: both copies of its key record are damaged.`, {
    provider: 'encrypted-file',
    details: { path: file },
  });
}
