import { writeSync } from 'node:fs';

/** Writes bytes and says how many were taken, as `fs.writeSync` does. */
export type WriteBytes = (bytes: Uint8Array, offset: number, length: number) => number;

/** What a writer tells its owner. */
export interface TurnWriterEvents {
  /** A write failed; the lines are kept, up to the limit. Said once until `recovered`. */
  failed?(error: unknown): void;
  /** Writing works again. */
  recovered?(): void;
  /** Lines were given up because the limit was reached. */
  dropped?(lines: number): void;
}

/** How a writer behaves. */
export interface TurnWriterOptions {
  readonly write: WriteBytes;
  /** Bytes kept while writing fails. */
  readonly maxQueueBytes: number;
  readonly events?: TurnWriterEvents | undefined;
  /** Milliseconds until a failed write is tried again. Default 100; for a full pipe it is 5. */
  readonly retryMs?: number | undefined;
}

/** Collects the lines of one turn of the event loop and writes them with one system call. */
export interface TurnWriter {
  /** Takes a line with its terminator. */
  push(line: string): void;
  /** Writes now what was taken, as far as the other end takes it. */
  flushNow(): void;
  /** Writes what was taken, trying again while the other end is busy, for at most `waitMs`. For the end of a process. */
  drainNow(waitMs: number): void;
  /** Lines or their parts that are not written yet, in bytes. */
  readonly queuedBytes: number;
  readonly failing: boolean;
}

/** A turn may hold more than this; it is then written at once, so that memory stays bounded. */
const turnCharacters = 65_536;

/** A part of what could not be written yet. */
interface Waiting {
  readonly bytes: Buffer;
  offset: number;
}

/** Makes a writer over a file descriptor that may change, for instance when the file is opened later. */
export function descriptorWriter(descriptor: () => number): WriteBytes {
  return (bytes, offset, length) => writeSync(descriptor(), bytes, offset, length);
}

/** Makes a turn writer. */
export function turnWriter(options: TurnWriterOptions): TurnWriter {
  return new Writer(options);
}

class Writer implements TurnWriter {
  readonly #options: TurnWriterOptions;
  readonly #scratch = Buffer.allocUnsafeSlow(turnCharacters * 4);
  #turn = '';
  #scheduled = false;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  #failing = false;

  constructor(options: TurnWriterOptions) {
    this.#options = options;
  }

  get queuedBytes(): number {
    return this.#waitingBytes + Buffer.byteLength(this.#turn);
  }

  get failing(): boolean {
    return this.#failing;
  }

  push(line: string): void {
    this.#turn += line;
    if (this.#turn.length >= turnCharacters) {
      this.#endTurn();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#onImmediate);
    }
  }

  readonly #onImmediate = (): void => {
    this.#scheduled = false;
    this.#endTurn();
  };

  flushNow(): void {
    this.#endTurn();
    this.#writeWaiting();
  }

  drainNow(waitMs: number): void {
    this.flushNow();
    const endsAt = performance.now() + waitMs;
    const cell = new Int32Array(new SharedArrayBuffer(4));
    while (this.#waiting.length > 0 && performance.now() < endsAt) {
      // The process is ending: there is no later turn to write in, so this one waits.
      Atomics.wait(cell, 0, 0, 2);
      this.#writeWaiting();
    }
  }

  #endTurn(): void {
    const turn = this.#turn;
    if (turn === '') return;
    this.#turn = '';
    if (this.#waiting.length > 0) {
      this.#keep(Buffer.from(turn), 0);
      return;
    }
    const long = turn.length * 3 > this.#scratch.length;
    const bytes = long ? Buffer.from(turn) : this.#scratch;
    const length = long ? bytes.length : this.#scratch.write(turn, 0);
    const written = this.#writeAll(bytes, 0, length);
    if (written < length) this.#keep(Buffer.from(bytes.subarray(0, length)), written);
  }

  /** Writes until the end or a refusal; returns the offset reached. */
  #writeAll(bytes: Buffer, from: number, length: number): number {
    let offset = from;
    try {
      while (offset < length) {
        const taken = this.#options.write(bytes, offset, length - offset);
        if (taken <= 0) return offset;
        offset += taken;
      }
      this.#succeeded();
    } catch (error) {
      this.#refused(error);
    }
    return offset;
  }

  #writeWaiting(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const from = first.offset;
      first.offset = this.#writeAll(first.bytes, from, first.bytes.length);
      this.#waitingBytes -= first.offset - from;
      if (first.offset < first.bytes.length) return;
      this.#waiting.shift();
    }
  }

  #keep(bytes: Buffer, offset: number): void {
    this.#waiting.push({ bytes, offset });
    this.#waitingBytes += bytes.length - offset;
    this.#dropOverLimit();
    this.#tryLater();
  }

  /** Gives up the oldest lines, but never the rest of a turn whose start is written: a line would be torn. */
  #dropOverLimit(): void {
    let lines = 0;
    while (this.#waitingBytes > this.#options.maxQueueBytes) {
      const index = this.#waiting.findIndex((each) => each.offset === 0);
      const gone = this.#waiting[index];
      if (gone === undefined) break;
      this.#waiting.splice(index, 1);
      this.#waitingBytes -= gone.bytes.length;
      lines += countLines(gone.bytes);
    }
    if (lines > 0) this.#options.events?.dropped?.(lines);
  }

  #refused(error: unknown): void {
    // A pipe whose reader is slow says EAGAIN: nothing is wrong, the rest goes later.
    if (isBusy(error) || this.#failing) return;
    this.#failing = true;
    this.#options.events?.failed?.(error);
  }

  #succeeded(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#options.events?.recovered?.();
  }

  #tryLater(): void {
    if (this.#retry !== undefined) return;
    // Held: a program that ends by itself still waits for a slow reader, but not for a disk that stays full.
    this.#retry = setTimeout(this.#onRetry, this.#failing ? (this.#options.retryMs ?? 100) : 5);
    if (this.#failing) this.#retry.unref();
  }

  readonly #onRetry = (): void => {
    this.#retry = undefined;
    this.#writeWaiting();
    if (this.#waiting.length > 0) this.#tryLater();
  };
}

function isBusy(error: unknown): boolean {
  const code = (error as { code?: string } | undefined)?.code;
  return code === 'EAGAIN' || code === 'EBUSY' || code === 'EINTR';
}

function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let index = bytes.indexOf(10); index !== -1; index = bytes.indexOf(10, index + 1)) lines += 1;
  return lines;
}
