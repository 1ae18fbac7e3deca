import { unlink } from 'node:fs/promises';
import { codeOf, coreError, storageError } from '@mnops/core';
import type { Clock, StorageDamage, Timer } from '@mnops/core/spi';
import { type CheckpointLog, openCheckpointLog } from './checkpoints.js';
import { appendPayload, type OpenSegment, openSegment } from './open-segment.js';
import { type Checkpoint, entriesOf } from './payload.js';
import { openOrSetAside } from './set-aside.js';
import { type SealInput, writeBlock } from './write-block.js';
import {
  blockFile,
  type ClaimedFolder,
  checkpointFile,
  claimWriterFolder,
  listFiles,
  openFile,
} from './writer-folder.js';

/** Why lines were given up. */
export type DropReason = 'queue-full' | 'stopped';

/** What a writer tells its owner. */
export interface StoreWriterEvents {
  damaged(damage: StorageDamage): void;
  /** Writing failed; lines are kept in memory up to the limit. Said once until `recovered`. */
  failed(error: unknown): void;
  recovered(): void;
  /** Lines were given up: over the limit, or at the close because writing still failed. */
  dropped(lines: number, reason: DropReason): void;
  /** Entries arrived. */
  arrived(): void;
}

/** How a writer behaves. */
export interface StoreWriterOptions {
  readonly folder: string;
  readonly clock: Clock;
  /** Bytes of lines after which an open log is sealed. */
  readonly blockBytes: number;
  /** Milliseconds after which written lines are synced. */
  readonly syncMs: number;
  readonly maxQueueBytes: number;
  readonly events: StoreWriterEvents;
}

const turnCharacters = 65_536;
const syncBytes = 1024 * 1024;
const retryMs = 200;
const mostOpenBlocks = 4;

/** Opens this process's part of a store for writing. */
export async function openStoreWriter(options: StoreWriterOptions): Promise<StoreWriter> {
  const claimed = await claimWriterFolder(options.folder);
  try {
    return await StoreWriter.open(options, claimed);
  } catch (error) {
    await claimed.lock.release();
    throw error;
  }
}

/** Appends to one writer's folder and seals what is large enough. */
export class StoreWriter {
  readonly writer: string;
  readonly folder: string;
  readonly #options: StoreWriterOptions;
  readonly #claimed: ClaimedFolder;
  readonly #checkpoints: CheckpointLog;
  readonly #blocks: number[];
  /** Open logs that wait to be sealed, oldest first. */
  readonly #sealing: OpenSegment[] = [];
  #open: OpenSegment;
  #next: number;
  #turn = '';
  #turnLines = 0;
  #scheduled = false;
  #retry: Timer | undefined;
  #syncTimer: Timer | undefined;
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  #sealingRun: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  static async open(options: StoreWriterOptions, claimed: ClaimedFolder): Promise<StoreWriter> {
    const files = await listFiles(claimed.folder);
    // A block is complete before its log goes; a crash in between left the log.
    for (const number of files.replaced) await remove(openFile(claimed.folder, number));
    const numbers = files.opens.length > 0 ? files.opens : [(files.blocks.at(-1) ?? 0) + 1];
    const segments: OpenSegment[] = [];
    const { damaged } = options.events;
    try {
      for (const number of numbers) {
        const file = openFile(claimed.folder, number);
        segments.push(await openOrSetAside(file, () => openSegment(file, number, false), damaged));
      }
      const file = checkpointFile(claimed.folder);
      const checkpoints = await openOrSetAside(file, () => openCheckpointLog(file), damaged);
      return new StoreWriter(options, claimed, checkpoints, segments, files.blocks);
    } catch (error) {
      // A caller that tries again must not hold one more handle each time.
      for (const segment of segments) await segment.log.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor(
    options: StoreWriterOptions,
    claimed: ClaimedFolder,
    checkpoints: CheckpointLog,
    segments: OpenSegment[],
    blocks: readonly number[],
  ) {
    this.#options = options;
    this.#claimed = claimed;
    this.#checkpoints = checkpoints;
    this.#blocks = [...blocks];
    this.writer = claimed.writer;
    this.folder = claimed.folder;
    this.#open = segments.at(-1) as OpenSegment;
    this.#sealing.push(...segments.slice(0, -1));
    this.#next = 0;
    for (const segment of segments) for (const damage of segment.damage) options.events.damaged(damage);
  }

  /** Numbers entries from here on; the reader knows what the last sealed block holds. */
  startAt(sequence: number): void {
    this.#next = Math.max(sequence, ...this.opens.map((segment) => segment.nextSequence));
    if (this.#sealing.length > 0) this.#seal();
  }

  get blocks(): readonly number[] {
    return this.#blocks;
  }

  get opens(): readonly OpenSegment[] {
    return [...this.#sealing, this.#open];
  }

  get failing(): boolean {
    return this.#failing;
  }

  get queuedBytes(): number {
    return Buffer.byteLength(this.#turn);
  }

  get nextSequence(): number {
    return this.#next;
  }

  /** The last checkpoint that this writer kept for a source. */
  checkpoint(source: string): Checkpoint | undefined {
    for (const segment of this.opens.toReversed()) {
      const found = segment.checkpoints.get(source);
      if (found !== undefined) return found;
    }
    return this.#checkpoints.current.get(source);
  }

  /** Takes a line; it is with the operating system at the end of the turn. */
  push(line: string): void {
    this.#turn += line;
    this.#turnLines += 1;
    if (this.#turn.length >= turnCharacters && !this.#failing) {
      this.writeTurn();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#onImmediate);
    }
    if (this.#failing && this.#turn.length > this.#options.maxQueueBytes) this.#dropTurn('queue-full');
  }

  readonly #onImmediate = (): void => {
    this.#scheduled = false;
    if (!this.#failing) this.writeTurn();
  };

  /** Writes what was taken before it returns. A failure keeps the lines and is told to the owner. */
  writeTurn(): void {
    if (this.#turn === '' || this.#closed) return;
    try {
      this.#write(Buffer.from(this.#turn), this.#turnLines, undefined);
      this.#turn = '';
      this.#turnLines = 0;
      if (this.#failing) {
        this.#failing = false;
        this.#options.events.recovered();
      }
    } catch (error) {
      if (!this.#failing) this.#options.events.failed(error);
      this.#failing = true;
      this.#retry ??= this.#options.clock.setTimer(retryMs, () => {
        this.#retry = undefined;
        this.writeTurn();
      });
    }
  }

  /** Writes lines and their checkpoint as one record; durable when the promise resolves. */
  async append(lines: string, count: number, checkpoint: Checkpoint | undefined): Promise<void> {
    if (this.#closed) throw coreError('MNOPS_CORE_CLOSED', 'The log store is closed.');
    this.writeTurn();
    this.#write(Buffer.from(lines), count, checkpoint);
    await this.sync();
    // What is open is in memory too: whoever appends faster than blocks are sealed waits for a block.
    const openBytes = this.opens.reduce((sum, segment) => sum + segment.rawBytes, 0);
    if (openBytes > mostOpenBlocks * this.#options.blockBytes && !this.#failing) await this.#sealingRun;
  }

  #write(lines: Buffer, count: number, checkpoint: Checkpoint | undefined): void {
    appendPayload(this.#open, { firstSequence: this.#next, count, checkpoint, lines });
    this.#next += count;
    this.#unsynced += lines.length;
    this.#syncSoon();
    if (this.#open.rawBytes >= this.#options.blockBytes) this.#seal();
    this.#options.events.arrived();
  }

  #dropTurn(reason: DropReason): void {
    const lines = this.#turnLines;
    this.#turn = '';
    this.#turnLines = 0;
    this.#options.events.dropped(lines, reason);
  }

  #syncSoon(): void {
    const run = (): void => {
      this.sync().catch((error: unknown) => this.#options.events.failed(error));
    };
    if (this.#unsynced >= syncBytes && this.#syncing === undefined) run();
    else this.#syncTimer ??= this.#options.clock.setTimer(this.#options.syncMs, run);
  }

  /** What was written before is durable when the promise resolves. Calls at the same time share one sync. */
  async sync(): Promise<void> {
    this.#syncTimer?.cancel();
    this.#syncTimer = undefined;
    if (this.#syncing !== undefined) await this.#syncing.catch(() => undefined);
    // Whoever waited with this caller may have begun the next one, which covers both.
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  async #sync(): Promise<void> {
    // One turn later, so that all appends of a turn are covered.
    await undefined;
    this.#unsynced = 0;
    for (const segment of this.opens) {
      await segment.log.sync().catch((error: unknown) => {
        // Sealed and closed meanwhile: its block is durable.
        if (this.opens.includes(segment)) throw error;
      });
    }
  }

  /** Begins sealing what is due, unless that runs already. */
  #seal(): void {
    if (this.#closed) return;
    this.#sealingRun ??= this.#sealAll()
      .catch((error: unknown) => this.#options.events.failed(error))
      .finally(() => {
        this.#sealingRun = undefined;
      });
  }

  async #sealAll(): Promise<void> {
    for (;;) {
      // Asked again after each block: entries may come faster than they are sealed.
      if (this.#open.rawBytes >= this.#options.blockBytes) await this.#rotate();
      const segment = this.#sealing[0];
      if (segment === undefined) return;
      await this.#sealOne(segment);
    }
  }

  async #rotate(): Promise<void> {
    const number = this.#open.number + 1;
    const next = await openSegment(openFile(this.folder, number), number, false);
    this.#sealing.push(this.#open);
    this.#open = next;
  }

  async #sealOne(segment: OpenSegment): Promise<void> {
    const filled = segment.payloads.some((payload) => payload.count > 0);
    if (filled) await writeBlock(blockFile(this.folder, segment.number), runsOf(segment));
    await this.#checkpoints.save(segment.checkpoints.values());
    // In one step for readers: the block is there, the log is not.
    if (filled) this.#blocks.push(segment.number);
    this.#sealing.shift();
    await segment.log.close();
    await remove(segment.log.file);
  }

  /** Seals everything now; for tests, benches and a store that is to be moved. */
  async sealNow(): Promise<void> {
    this.writeTurn();
    await this.#sealingRun;
    if (this.#open.payloads.length === 0) return;
    await this.#rotate();
    this.#seal();
    await this.#sealingRun;
  }

  /** Makes everything durable and gives the folder up. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.writeTurn();
    await this.#sealingRun;
    try {
      // A small rest stays open for the next process; a large one takes a tenth of the space when it is sealed.
      if (!this.#failing && this.#open.rawBytes >= this.#options.blockBytes / 8) await this.sealNow();
    } catch (error) {
      // What is open is on the disk; the next process seals it.
      this.#options.events.failed(error);
    }
    // Space may have come back meanwhile, and lines may have come.
    this.writeTurn();
    this.#closed = true;
    this.#retry?.cancel();
    this.#syncTimer?.cancel();
    // Nobody writes them any more: they are counted, not forgotten.
    if (this.#turn !== '') this.#dropTurn('stopped');
    try {
      for (const segment of this.opens) await segment.log.close();
      await this.#checkpoints.close();
    } finally {
      await this.#claimed.lock.release();
    }
  }
}

/** The entries of each write, read one after the other. */
function* runsOf(segment: OpenSegment): Generator<SealInput> {
  for (const payload of segment.payloads) {
    const entries = entriesOf(payload);
    if (entries.length > 0) yield { firstSequence: payload.firstSequence, entries, rawBytes: payload.lines.length };
  }
}

async function remove(file: string): Promise<void> {
  await unlink(file).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw storageError('remove', file, error);
  });
}
