import { renameSync } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { coreError, storageError } from '../errors/core-error.js';
import { codeOf, MnopsError } from '../errors/mnops-error.js';
import type { StorageDamage } from '../spi/base.js';
import { AppendQueue } from './append-queue.js';
import { syncFolder, writeFileAtomic } from './atomic.js';
import { DamageList } from './damage-list.js';
import type { FileCalls } from './file-calls.js';
import { encodePreamble, encodeRecord, newHeader, recordHeaderBytes, recordsAt } from './record-format.js';
import { type OpenedFile, openHeader } from './record-header.js';
import type { AppendOptions, AppendResult, LogRecord, RecordLog, RecordLogOptions } from './record-log.js';
import { type ScannedGap, type ScannedRecord, scanRecords } from './record-scan.js';

const defaultMaxRecordBytes = 16 * 1024 * 1024;
const rewriteChunkBytes = 1024 * 1024;
const restore = 'Restore the file from a backup if the lost records matter, and check the disk.';
const torn =
  'None if the machine or the process went down while it wrote: that append had not been acknowledged. ' +
  'Otherwise the file was cut: restore it from a backup.';

/** `openRecordLog` with the writing calls given. */
export async function openFileRecordLog(options: RecordLogOptions, calls: FileCalls): Promise<RecordLog> {
  const { file, magic, version } = options;
  if (!/^[\x20-\x7e]{8}$/.test(magic)) throw new RangeError('magic must be 8 ASCII characters');
  const readOnly = options.readOnly === true;
  if (!readOnly) await makeIfAbsent(options);
  const opened = await openHeader(file, magic, version, readOnly);
  const log = new FileRecordLog(options, calls, opened);
  try {
    await log.survey();
  } catch (error) {
    await opened.handle.close();
    throw MnopsError.is(error) ? error : storageError('read', file, error);
  }
  return log;
}

async function makeIfAbsent({ file, magic, version, mode }: RecordLogOptions): Promise<void> {
  try {
    await stat(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw storageError('open', file, error);
    await writeFileAtomic(file, encodePreamble(newHeader(magic, version)), { mode: mode ?? 0o600 });
  }
}

/** The file in use, or one that a rewrite replaced and somebody still reads. */
interface LiveFile extends OpenedFile {
  readers: number;
  retired: boolean;
}

class FileRecordLog implements RecordLog {
  readonly file: string;
  readonly #options: RecordLogOptions;
  readonly #calls: FileCalls;
  readonly #readOnly: boolean;
  readonly #maxRecordBytes: number;
  #opened: LiveFile;
  #damage: DamageList;
  #queue: AppendQueue | undefined;
  #readSize = 0;
  #readNext = 0;
  #rewriting: Promise<void> | undefined;
  /** Written by `appendSync` to the file that a running rewrite replaces. */
  readonly #lateAppends: Buffer[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: RecordLogOptions, calls: FileCalls, opened: OpenedFile) {
    this.file = options.file;
    this.#options = options;
    this.#calls = calls;
    this.#readOnly = options.readOnly === true;
    this.#maxRecordBytes = options.maxRecordBytes ?? defaultMaxRecordBytes;
    this.#opened = { ...opened, readers: 0, retired: false };
    this.#damage = new DamageList(options.file);
  }

  get id(): string {
    return this.#opened.header.id.toString('hex');
  }

  get damage(): readonly StorageDamage[] {
    return this.#damage.entries;
  }

  get sizeBytes(): number {
    return this.#queue?.sizeBytes ?? this.#readSize;
  }

  get nextSequence(): number {
    return this.#queue?.nextSequence ?? this.#readNext;
  }

  /** Reads the file once: counts what is lost and, for a writer, mends the end and the header. */
  async survey(): Promise<void> {
    const { handle, header, damagedCopies, cutAt } = this.#opened;
    for (const offset of damagedCopies) this.#damage.add(offset, 0, 'None: the second copy of the header is whole.');
    let expected = 0;
    let gapAt: number | undefined;
    let last: ScannedRecord | ScannedGap | undefined;
    for await (const item of scanRecords(handle, header.id, recordsAt)) {
      if (item.kind !== 'record') {
        gapAt ??= item.offset;
      } else {
        const lost = item.sequence - expected;
        if (gapAt !== undefined || lost > 0) this.#damage.add(gapAt ?? item.offset, Math.max(0, lost), restore);
        gapAt = undefined;
        expected = item.sequence + 1;
      }
      last = item;
    }
    if (cutAt !== undefined) this.#damage.add(cutAt, 1, torn);
    this.#readNext = expected;
    this.#readSize = last?.nextOffset ?? recordsAt;
    if (gapAt !== undefined && last !== undefined && last.kind !== 'record') this.#surveyEnd(gapAt, last, expected);
    if (this.#readOnly) return;
    await unlink(`${this.file}.rewrite`).catch(() => undefined);
    if (damagedCopies.length > 0) await this.#mendHeader();
    this.#queue = this.#newQueue(this.#readSize, this.#readNext);
  }

  /** Judges an end of the file that holds no whole record. */
  #surveyEnd(gapAt: number, last: ScannedGap, expected: number): void {
    const next = Math.max(expected, last.sequence ?? expected) + 1;
    if (last.kind === 'damage') {
      this.#damage.add(gapAt, next - expected, restore);
      // A number is not given twice, even if its first record is lost.
      this.#readNext = next;
      return;
    }
    this.#readSize = last.offset;
    if (gapAt < last.offset) {
      this.#damage.add(gapAt, Math.max(1, next - 1 - expected), restore);
      this.#readNext = Math.max(expected + 1, next - 1);
    }
    // Another process may be in the middle of this append.
    if (this.#readOnly) return;
    this.#damage.add(last.offset, last.kind === 'short' ? 1 : 0, torn);
    try {
      this.#calls.truncateSync(this.#opened.handle.fd, last.offset);
    } catch (error) {
      throw storageError('cut the torn end of', this.file, error);
    }
  }

  async #mendHeader(): Promise<void> {
    const { handle, header } = this.#opened;
    try {
      const bytes = encodePreamble(header);
      await handle.write(bytes, 0, bytes.length, 0);
      await this.#calls.sync(handle);
    } catch (error) {
      throw storageError('mend the header of', this.file, error);
    }
  }

  #newQueue(sizeBytes: number, nextSequence: number): AppendQueue {
    const { handle, header } = this.#opened;
    return new AppendQueue({ handle, file: this.file, id: header.id, sizeBytes, nextSequence }, this.#calls);
  }

  async *records(options: { readonly fromOffset?: number | undefined } = {}): AsyncGenerator<LogRecord, void> {
    this.#assertOpen();
    const replaced = this.#readOnly && (await this.#followReplacement());
    const from = replaced ? recordsAt : Math.max(options.fromOffset ?? recordsAt, recordsAt);
    const opened = this.#opened;
    opened.readers += 1;
    try {
      yield* this.#read(opened, from);
    } catch (error) {
      throw MnopsError.is(error) ? error : storageError('read', this.file, error);
    } finally {
      opened.readers -= 1;
      if (opened.retired && opened.readers === 0) await opened.handle.close();
    }
  }

  async *#read(opened: LiveFile, from: number): AsyncGenerator<LogRecord, void> {
    let expected = from === recordsAt ? 0 : from === this.#readSize && this.#readOnly ? this.#readNext : undefined;
    let gapAt: number | undefined;
    for await (const item of scanRecords(opened.handle, opened.header.id, from)) {
      if (item.kind !== 'record') {
        gapAt ??= item.offset;
        continue;
      }
      const { sequence, offset, nextOffset } = item;
      if (gapAt !== undefined && !this.#damage.has(gapAt)) {
        this.#damage.add(gapAt, expected === undefined ? 1 : Math.max(0, sequence - expected), restore);
      }
      gapAt = undefined;
      expected = sequence + 1;
      if (this.#readOnly && nextOffset > this.#readSize) {
        this.#readSize = nextOffset;
        this.#readNext = expected;
      }
      yield { sequence, offset, nextOffset, payload: Buffer.from(item.payload) };
    }
  }

  async #followReplacement(): Promise<boolean> {
    const old = this.#opened;
    const named = await stat(this.file).catch(() => undefined);
    if (named === undefined || named.ino === (await old.handle.stat()).ino) return false;
    const next = await openHeader(this.file, this.#options.magic, this.#options.version, true);
    this.#swap({ ...next, readers: 0, retired: false });
    this.#readSize = recordsAt;
    this.#readNext = 0;
    return true;
  }

  /** Turns to another file; the old one is closed once nobody reads it. */
  #swap(next: LiveFile): void {
    const old = this.#opened;
    this.#opened = next;
    this.#damage = new DamageList(this.file);
    old.retired = true;
    if (old.readers === 0) old.handle.close().catch(() => undefined);
  }

  async append(payloads: Uint8Array | readonly Uint8Array[], options: AppendOptions = {}): Promise<AppendResult> {
    const list = ArrayBuffer.isView(payloads) ? [payloads] : payloads;
    for (const payload of list) this.#assertSize(payload);
    while (this.#rewriting !== undefined) await this.#rewriting.catch(() => undefined);
    return this.#writable().add(list, options.sync ?? true);
  }

  appendSync(payload: Uint8Array, options: AppendOptions = {}): void {
    this.#assertSize(payload);
    this.#writable().addSync(payload, options.sync ?? false);
    if (this.#rewriting !== undefined) this.#lateAppends.push(Buffer.from(payload));
  }

  async sync(): Promise<void> {
    const queue = this.#writable();
    await queue.idle();
    await this.#calls.sync(this.#opened.handle).catch((error: unknown) => {
      throw storageError('sync', this.file, error);
    });
  }

  async rewrite(payloads: Iterable<Uint8Array>): Promise<void> {
    while (this.#rewriting !== undefined) await this.#rewriting.catch(() => undefined);
    const queue = this.#writable();
    this.#rewriting = this.#replace(payloads, queue);
    try {
      await this.#rewriting;
    } finally {
      this.#rewriting = undefined;
      this.#lateAppends.length = 0;
    }
  }

  async #replace(payloads: Iterable<Uint8Array>, queue: AppendQueue): Promise<void> {
    await queue.idle();
    const header = newHeader(this.#options.magic, this.#options.version);
    const temporary = `${this.file}.rewrite`;
    let handle: FileHandle | undefined;
    try {
      const mode = (await this.#opened.handle.stat()).mode & 0o7777;
      handle = await open(temporary, 'w+', mode);
      let written = await this.#writeRecords(
        handle,
        header.id,
        payloads,
        { size: 0, count: 0 },
        encodePreamble(header),
      );
      await this.#calls.sync(handle);
      while (this.#lateAppends.length > 0) {
        const late = this.#lateAppends.splice(0);
        written = await this.#writeRecords(handle, header.id, late, written);
        await this.#calls.sync(handle);
      }
      // From the last look at late appends to the new queue without a turn in between.
      renameSync(temporary, this.file);
      this.#swap({ handle, header, damagedCopies: [], cutAt: undefined, readers: 0, retired: false });
      this.#queue = this.#newQueue(written.size, written.count);
    } catch (error) {
      await handle?.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
      throw MnopsError.is(error) ? error : storageError('rewrite', this.file, error);
    }
    await syncFolder(dirname(this.file));
  }

  async #writeRecords(
    handle: FileHandle,
    id: Buffer,
    payloads: Iterable<Uint8Array>,
    done: { readonly size: number; readonly count: number },
    preamble: Buffer = Buffer.alloc(0),
  ): Promise<{ readonly size: number; readonly count: number }> {
    let { size, count } = done;
    let chunk: Buffer[] = [preamble];
    let chunkSize = preamble.length;
    const flush = async (): Promise<void> => {
      const bytes = Buffer.concat(chunk, chunkSize);
      let written = 0;
      while (written < bytes.length) written += await this.#calls.write(handle, bytes, written, size + written);
      size += bytes.length;
      chunk = [];
      chunkSize = 0;
    };
    for (const payload of payloads) {
      this.#assertSize(payload);
      const record = Buffer.allocUnsafe(recordHeaderBytes + payload.length);
      encodeRecord(record, 0, id, count, payload);
      chunk.push(record);
      chunkSize += record.length;
      count += 1;
      if (chunkSize >= rewriteChunkBytes) await flush();
    }
    await flush();
    return { size, count };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#rewriting?.catch(() => undefined);
    await this.#queue?.idle();
    try {
      if (!this.#readOnly) await this.#calls.sync(this.#opened.handle);
    } catch (error) {
      throw storageError('sync', this.file, error);
    } finally {
      await this.#opened.handle.close();
    }
  }

  #writable(): AppendQueue {
    this.#assertOpen();
    if (this.#queue === undefined) {
      throw coreError('MNOPS_CORE_UNSUPPORTED', `${this.file} was opened for reading only.`, {
        remedy: 'Open the log without `readOnly`.',
      });
    }
    return this.#queue;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw coreError('MNOPS_CORE_CLOSED', `The log ${this.file} is closed.`);
  }

  #assertSize(payload: Uint8Array): void {
    if (payload.length <= this.#maxRecordBytes) return;
    const message = `A record of ${payload.length} bytes is over the limit of ${this.#maxRecordBytes} (maxRecordBytes).`;
    throw coreError('MNOPS_CORE_TOO_LARGE', message, { details: { path: this.file, bytes: payload.length } });
  }
}
