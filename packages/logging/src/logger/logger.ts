import type { LogLevel } from '@mnops/core/spi';
import type { ContextFields, LogContext } from './context.js';
import { membersOf } from './context.js';
import type { FieldEncoder } from './encode-json.js';
import { arrangeCall } from './format-message.js';
import { type LevelRules, type LevelSetting, rankOfSetting, settingOfRank } from './level-rules.js';
import { levelRanks } from './levels.js';
import { lineHeads, truncatedTail } from './line.js';

/** Writes one entry. An error becomes the attribute `error`; `%s %d %i %f %j %o %O %%` take values from `splat`. */
export interface LogMethod {
  (message: string, attributes?: object, ...splat: readonly unknown[]): void;
  (message: string, ...splat: readonly unknown[]): void;
  (attributes: object, message?: string, ...splat: readonly unknown[]): void;
}

/** What a child logger has beside its parent's. */
export interface ChildOptions {
  /** Name of the child. Default: the parent's. */
  readonly name?: string | undefined;
  /** Level of this child, whatever the rules say. Default: that of its name. */
  readonly level?: LevelSetting | undefined;
}

/** Writes log entries. A call never throws, never waits and never changes its arguments. */
export interface Logger {
  readonly name: string;
  /** The level in force now. */
  readonly level: LevelSetting;
  readonly error: LogMethod;
  readonly warn: LogMethod;
  readonly info: LogMethod;
  readonly http: LogMethod;
  readonly verbose: LogMethod;
  readonly debug: LogMethod;
  readonly silly: LogMethod;
  /** A logger that adds attributes to each of its entries; those of a call win over them. */
  child(attributes: object, options?: ChildOptions): Logger;
  /** Whether an entry of this level would be written. Ask before computing something costly. */
  isLevelEnabled(level: LogLevel): boolean;
}

/** What all loggers of a manager share. */
export interface LoggerShared {
  readonly rules: LevelRules;
  readonly encoder: FieldEncoder;
  readonly context: LogContext;
  readonly resource: string;
  readonly maxLineBytes: number;
  now(): number;
  stamp(ms: number): string;
  /** Takes one finished line. */
  emit(line: string, rank: number): void;
  /** Counts a call whose line could not be made. */
  failed(): void;
}

interface OwnFields {
  readonly members: ReadonlyMap<string, string>;
  readonly text: string;
}

/** Makes a logger. */
export function managedLogger(shared: LoggerShared, name: string, level?: LevelSetting): Logger {
  return new ManagedLogger(shared, name, level, undefined);
}

class ManagedLogger implements Logger {
  readonly name: string;
  readonly #shared: LoggerShared;
  readonly #fixed: LevelSetting | undefined;
  readonly #own: OwnFields | undefined;
  readonly #heads: readonly string[];
  #version = 0;
  #rank = -1;

  constructor(shared: LoggerShared, name: string, level: LevelSetting | undefined, own: OwnFields | undefined) {
    this.#shared = shared;
    this.name = name;
    this.#fixed = level;
    this.#own = own;
    this.#heads = lineHeads(name, shared.resource);
  }

  get level(): LevelSetting {
    return settingOfRank(this.#currentRank());
  }

  error(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 0) this.#write(0, first, second, rest);
  }

  warn(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 1) this.#write(1, first, second, rest);
  }

  info(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 2) this.#write(2, first, second, rest);
  }

  http(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 3) this.#write(3, first, second, rest);
  }

  verbose(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 4) this.#write(4, first, second, rest);
  }

  debug(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 5) this.#write(5, first, second, rest);
  }

  silly(first: unknown, second?: unknown, ...rest: unknown[]): void {
    if (this.#currentRank() >= 6) this.#write(6, first, second, rest);
  }

  child(attributes: object, options: ChildOptions = {}): Logger {
    const members = new Map([...(this.#own?.members ?? []), ...membersOf(this.#shared.encoder, attributes)]);
    const own = members.size === 0 ? undefined : { members, text: [...members.values()].join(',') };
    const { name = this.name, level = this.#fixed } = options;
    return new ManagedLogger(this.#shared, name, level, own);
  }

  isLevelEnabled(level: LogLevel): boolean {
    return this.#currentRank() >= (levelRanks[level] ?? Number.POSITIVE_INFINITY);
  }

  #currentRank(): number {
    const { version } = this.#shared.rules;
    if (version !== this.#version) {
      this.#version = version;
      this.#rank = this.#fixed === undefined ? this.#shared.rules.rankOf(this.name) : rankOfSetting(this.#fixed);
    }
    return this.#rank;
  }

  #write(rank: number, first: unknown, second: unknown, rest: readonly unknown[]): void {
    try {
      let message: string;
      let attributes: object | undefined;
      if (typeof first === 'string' && second === undefined && rest.length === 0) {
        message = first;
      } else if (typeof first === 'string' && isPlain(second) && rest.length === 0) {
        message = first;
        attributes = second;
      } else {
        ({ message, attributes } = arrangeCall(first, second, rest, (value) => this.#shared.encoder.json(value)));
      }
      this.#emit(rank, message, attributes);
    } catch {
      this.#shared.failed();
    }
  }

  #emit(rank: number, message: string, attributes: object | undefined): void {
    const shared = this.#shared;
    const { encoder } = shared;
    const context = shared.context.current();
    let members = attributes === undefined ? '' : encoder.fields(attributes);
    if (this.#own !== undefined || context !== undefined) members = merged(context, this.#own, attributes, members);
    const start = `{"timestamp":"${shared.stamp(shared.now())}${this.#heads[rank]}`;
    let line = start + encoder.message(message);
    if (members !== '') line += `,"attributes":{${members}}`;
    line += shared.context.ids(context);
    line += encoder.takeTruncated() ? truncatedTail : '}\n';
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (line.length * 3 > shared.maxLineBytes && Buffer.byteLength(line) > shared.maxLineBytes) {
      line = this.#shortened(start, message, shared.context.ids(context));
    }
    shared.emit(line, rank);
  }

  /** A line over the limit keeps the start of its message and says how long it was; its attributes go. */
  #shortened(start: string, message: string, ids: string): string {
    // Six bytes are the most that one unit takes, as `\u0000`.
    const room = Math.floor((this.#shared.maxLineBytes - start.length * 3 - 256) / 6);
    // Cut after redaction: half a secret is one that no pattern finds.
    const text = this.#shared.encoder.message(message, Math.max(0, room));
    // This line says so itself; the next one is not cut.
    this.#shared.encoder.takeTruncated();
    return `${start}${text},"attributes":{"originalLength":${message.length}}${ids}${truncatedTail}`;
  }
}

/** Whether a value is an object that is written as attributes as it stands. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return !(value instanceof Error) && !Array.isArray(value) && !(value instanceof Map);
}

/** Joins the members of context, child and call. The same key is written once: call over child over context. */
function merged(
  context: ContextFields | undefined,
  own: OwnFields | undefined,
  attributes: object | undefined,
  members: string,
): string {
  const before: string[] = [];
  if (context !== undefined && context.text !== '') {
    before.push(withoutKeys(context, (key) => own?.members.has(key) === true || has(attributes, key)));
  }
  if (own !== undefined) before.push(withoutKeys(own, (key) => has(attributes, key)));
  if (members !== '') before.push(members);
  return before.length === 1 ? (before[0] ?? '') : before.filter((text) => text !== '').join(',');
}

function withoutKeys(fields: OwnFields, taken: (key: string) => boolean): string {
  let clash = false;
  for (const key of fields.members.keys()) {
    if (taken(key)) {
      clash = true;
      break;
    }
  }
  if (!clash) return fields.text;
  return [...fields.members].flatMap(([key, text]) => (taken(key) ? [] : [text])).join(',');
}

function has(attributes: object | undefined, key: string): boolean {
  return (
    attributes !== undefined &&
    Object.hasOwn(attributes, key) &&
    (attributes as Record<string, unknown>)[key] !== undefined
  );
}
