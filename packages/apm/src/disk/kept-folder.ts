import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '@mnops/core';
import { acquireFileLock, ensureFolder, type FileLock } from '@mnops/core/files';
import type { Clock, StorageDamage, Timer } from '@mnops/core/spi';
import type { LoadHistory } from '../analysis/forecast/load-history.js';
import type { SharedFigures } from '../snapshot/shared-figures.js';
import type { Source } from '../snapshot/source-state.js';
import type { HeldTrace } from '../store/trace-ring.js';
import { LoadKeeper } from './load-keeper.js';
import { numbersFiles, readNumbers, writeNumbers } from './numbers-file.js';
import { TraceKeeper } from './trace-keeper.js';
import { TraceSegments } from './trace-segments.js';
import { type Unwritable, unwritable } from './unwritable.js';

/** What a kept folder needs of its host. */
export interface KeptFolderOptions {
  readonly folder: string;
  readonly maxDiskBytes: number;
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Absent when the analysis is off: then there are no numbers. */
  readonly shared: SharedFigures | undefined;
  /** What forecasts are made from; absent when the analysis is off. */
  readonly history: LoadHistory | undefined;
  readonly find: (traceId: string) => HeldTrace | undefined;
  /** Called before traces are written, so that spans which wait are among them. */
  readonly settle: () => void;
  readonly damaged: (damage: StorageDamage) => void;
  /** Nothing can be written. */
  readonly failed: (why: Unwritable & { readonly folder: string }) => void;
  /** It can again. */
  readonly recovered: (folder: string) => void;
  readonly degrade: (reason: string) => void;
  readonly recover: (reason: string) => void;
}

/** Traces and numbers on disk. */
export interface DiskStats {
  /** Whether they are written now; false after the disk failed, until it works again. */
  readonly writing: boolean;
  readonly bytes: number;
  readonly tracesWritten: number;
  /** Traces that wait to be written. */
  readonly tracesWaiting: number;
  /** Traces that could not be written. */
  readonly tracesLost: number;
  /** Files that were removed because of their age or for room. */
  readonly filesRemoved: number;
  /** Records found damaged at the start. */
  readonly damagedRecords: number;
}

const saveEveryMs = 1_000;
const numbersEveryMs = 60_000;
const retryEveryMs = 30_000;
const idFormat = /^[0-9a-z-]{1,64}$/;

/** The files of one manager in its folder: kept traces, and what was learned. */
export class KeptFolder {
  readonly traces: TraceKeeper;
  readonly #options: KeptFolderOptions;
  readonly #segments: TraceSegments;
  readonly #load: LoadKeeper | undefined;
  readonly #numbersFolder: string;
  readonly #tracesFolder: string;
  /** What was told of a folder that cannot be written to. */
  #reason: string | undefined;
  #lock: FileLock | undefined;
  #owner = '';
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #nextNumbersMs = 0;
  #retryAtMs: number | undefined;
  #damagedRecords = 0;
  /** Spans that had come when everything was written the last time. */
  #savedSpans: number | undefined;
  #started = false;
  #closed = false;

  constructor(options: KeptFolderOptions) {
    this.#options = options;
    const { folder, maxDiskBytes, maxAgeMs, clock, history } = options;
    this.#numbersFolder = join(folder, 'numbers');
    this.#tracesFolder = join(folder, 'traces');
    this.#segments = new TraceSegments({
      folder: this.#tracesFolder,
      maxBytes: maxDiskBytes,
      maxAgeMs,
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
    });
    if (history !== undefined) {
      const damaged = (damage: StorageDamage): void => this.#tell(damage);
      this.#load = new LoadKeeper({ folder: this.#numbersFolder, history, now: () => clock.now(), damaged });
    }
    this.traces = new TraceKeeper(this.#segments, options.find);
  }

  get stats(): DiskStats {
    return {
      writing: this.#lock !== undefined && this.#retryAtMs === undefined,
      bytes: this.#segments.bytes,
      tracesWritten: this.traces.written,
      tracesWaiting: this.traces.waiting,
      tracesLost: this.traces.lost,
      filesRemoved: this.#segments.removed,
      damagedRecords: this.#damagedRecords,
    };
  }

  /** Whether there is something that `flush` has not written yet. */
  get unsaved(): boolean {
    return this.#started && this.#savedSpans !== this.traces.spans;
  }

  /** Reads what is whole of the folder and begins to write. A disk that fails is told by `degrade`; nothing is thrown. */
  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await this.#guarded(() => this.#open());
    this.#nextNumbersMs = this.#options.clock.monotonic() + numbersEveryMs;
    this.#schedule();
  }

  /** What is known now is on disk; before the start, nothing is written. */
  async flush(): Promise<void> {
    if (!this.#started) return;
    this.#running = this.#running.then(() => this.#guarded(() => this.#saveAll()));
    await this.#running;
  }

  /** Writes what waits and gives the folder free. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.flush();
    await this.#segments.close().catch(() => undefined);
    await this.#lock?.release().catch(() => undefined);
    this.#lock = undefined;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimer(saveEveryMs, () => {
      this.#running = this.#running.then(() => this.#guarded(() => this.#tick()));
      void this.#running.then(() => this.#schedule());
    });
  }

  async #tick(): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    this.#options.settle();
    await this.traces.save(this.#owner, nowMs);
    if (nowMs < this.#nextNumbersMs) return;
    this.#nextNumbersMs = nowMs + numbersEveryMs;
    await this.#segments.prune();
    await this.#saveNumbers();
    await this.#load?.save(this.#owner, false);
    await this.#load?.refresh(this.#owner);
  }

  async #saveAll(): Promise<void> {
    this.#options.settle();
    const { spans } = this.traces;
    await this.traces.save(this.#owner, this.#options.clock.monotonic(), true);
    await this.#saveNumbers();
    await this.#load?.save(this.#owner, true);
    if (!this.#closed) await this.#load?.refresh(this.#owner);
    this.#savedSpans = spans;
  }

  async #saveNumbers(): Promise<void> {
    const own = this.#options.shared?.own();
    if (own === undefined) return;
    // Spans that wait for their other side mean nothing to a process that starts later.
    await writeNumbers(this.#numbersFolder, { ...own, map: { ...own.map, callers: [], called: [] } });
  }

  /** Runs a piece of work on the disk; after a failure the disk is left alone for a while. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    const { clock } = this.#options;
    if (this.#retryAtMs !== undefined && clock.monotonic() < this.#retryAtMs && !this.#closed) return;
    try {
      if (this.#lock !== undefined && (await isRemoved(this.#lock.path))) await this.#startAnew(this.#lock);
      else if (this.#lock === undefined && this.#retryAtMs !== undefined) await this.#open();
      await work();
      this.#retryAtMs = undefined;
      this.#tellRecovered();
    } catch (error) {
      this.#retryAtMs = clock.monotonic() + retryEveryMs;
      this.#tellFailed(unwritable(error));
    }
  }

  #tellFailed(why: Unwritable): void {
    const { folder, degrade, recover, failed } = this.#options;
    const reason = `Traces and baselines cannot be written to ${folder} (${why.reason}); they are in memory only. ${why.remedy}`;
    if (this.#reason !== reason) {
      if (this.#reason !== undefined) recover(this.#reason);
      this.#reason = reason;
      failed({ folder, ...why });
    }
    // Told again each time: a start that is tried again forgets reasons.
    degrade(reason);
  }

  #tellRecovered(): void {
    if (this.#reason === undefined) return;
    this.#options.recover(this.#reason);
    this.#reason = undefined;
    this.#options.recovered(this.#options.folder);
  }

  /** In a folder that was removed and is made again: a file that was open is nowhere, and nobody else may take this name. */
  async #startAnew(lock: FileLock): Promise<void> {
    this.#tell({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      file: this.#options.folder,
      offset: 0,
      records: 1,
      remedy: 'None: the folder was removed while it was in use. What comes from now on is written to a new one.',
    });
    this.#lock = undefined;
    this.#load?.anew();
    await lock.release().catch(() => undefined);
    await this.#segments.close().catch(() => undefined);
    await ensureFolder(this.#tracesFolder);
    await ensureFolder(this.#numbersFolder);
    this.#lock = await acquireFileLock(this.#lockFile(this.#owner), { purpose: 'traces and numbers' });
  }

  /**
   * Finds a name for this process and takes over from those that ended: their torn files are mended, the numbers of the
   * first become this process's own, those of the others are counted in. The load of processes that are alive is counted in, too.
   */
  async #open(): Promise<void> {
    const { shared } = this.#options;
    await ensureFolder(this.#tracesFolder);
    await ensureFolder(this.#numbersFolder);
    const { whole: withNumbers, unfinished } = await numbersFiles.list(this.#numbersFolder);
    const withTraces = (await this.#segments.list()).map(({ owner }) => owner);
    const withLoad = (await this.#load?.owners()) ?? [];
    const owners = new Set([...withNumbers, ...unfinished, ...withTraces, ...withLoad]);
    let adopted = false;
    for (const owner of owners) {
      const lock = await this.#tryLock(owner);
      if (lock === undefined) continue;
      for (const damage of await this.#segments.mend(owner)) this.#tell(damage);
      if (unfinished.includes(owner)) await numbersFiles.removeUnfinished(this.#numbersFolder, owner);
      await this.#load?.tidy(owner);
      if (owner === this.#owner) {
        // Its own of before a failure: all of that is known here.
        this.#lock = lock;
        adopted = true;
        continue;
      }
      const source = withNumbers.includes(owner) ? await this.#readNumbers(owner) : undefined;
      if (source !== undefined && !adopted && this.#owner === '' && shared !== undefined) {
        shared.adopt(source);
        await this.#load?.adopt(owner);
        this.#lock = lock;
        this.#owner = owner;
        adopted = true;
        continue;
      }
      if (source !== undefined) shared?.include(source);
      await lock.release();
    }
    if (!adopted) {
      this.#owner ||= shared?.id ?? `p${process.pid.toString(36)}${Math.floor(this.#options.clock.now()).toString(36)}`;
      this.#lock = await acquireFileLock(this.#lockFile(this.#owner), { purpose: 'traces and numbers' });
    }
    await this.#load?.refresh(this.#owner);
    await this.#segments.prune();
  }

  /** @returns `undefined` when its process is alive. */
  async #tryLock(owner: string): Promise<FileLock | undefined> {
    if (!idFormat.test(owner)) return undefined;
    try {
      return await acquireFileLock(this.#lockFile(owner), { purpose: 'traces and numbers' });
    } catch (error) {
      if (codeOf(error) === 'MNOPS_CORE_LOCKED') return undefined;
      // One name that cannot be locked must not keep this process from its own files.
      const isOdd = await stat(this.#lockFile(owner)).then(
        (facts) => !facts.isFile(),
        () => false,
      );
      if (isOdd) return undefined;
      throw error;
    }
  }

  #lockFile(owner: string): string {
    return join(this.#options.folder, `${owner}.lock`);
  }

  async #readNumbers(owner: string): Promise<Source | undefined> {
    try {
      const { source, damage } = await readNumbers(this.#numbersFolder, owner);
      for (const found of damage) this.#tell(found);
      return source;
    } catch (error) {
      const file = join(this.#numbersFolder, `${owner}.num`);
      const code = codeOf(error) ?? 'MNOPS_CORE_STORAGE_UNREADABLE';
      this.#tell({ code, file, offset: 0, records: 1, remedy: 'None: what is lost is learned anew.' });
      return undefined;
    }
  }

  #tell(damage: StorageDamage): void {
    this.#damagedRecords += damage.records;
    this.#options.damaged(damage);
  }
}

async function isRemoved(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
  }
}
