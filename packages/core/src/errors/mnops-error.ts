import type { JsonValue } from '../spi/base.js';

/** What a package's code table says about one code. */
export interface CodeEntry {
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
  /** One sentence: what the state is. */
  readonly meaning: string;
  /** One sentence: what the reader can do. */
  readonly remedy: string;
}

/** Any code of any package. */
export type MnopsErrorCode = `MNOPS_${string}`;

/** Facts that an error may carry beside its code and message. Never put a secret into any of them. */
export interface MnopsErrorOptions {
  readonly retryable?: boolean | undefined;
  /** Milliseconds that the back end asked to wait. */
  readonly retryAfterMs?: number | undefined;
  /** Id of the provider that failed. */
  readonly provider?: string | undefined;
  /** Operation that failed. */
  readonly operation?: string | undefined;
  /** What the reader can do. */
  readonly remedy?: string | undefined;
  /** Machine-readable facts, such as `path` or `issues`. Live results (not JSON) are allowed where a method documents them. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

const brand = Symbol.for('mnops.error');

/**
 * Every failure that MNOps reports.
 *
 * Recognise it by `code`, or with `MnopsError.is`: an application may hold several copies of this class, so `instanceof`
 * is not reliable.
 */
export class MnopsError extends Error {
  /** Stable name of the failure, listed in `docs/errors.md`. */
  readonly code: MnopsErrorCode;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
  /** Milliseconds that the back end asked to wait. */
  readonly retryAfterMs: number | undefined;
  /** Id of the provider that failed. */
  readonly provider: string | undefined;
  /** Operation that failed. */
  readonly operation: string | undefined;
  /** What the reader can do. */
  readonly remedy: string | undefined;
  /** Machine-readable facts. */
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: MnopsErrorCode, message: string, options: MnopsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.provider = options.provider;
    this.operation = options.operation;
    this.remedy = options.remedy;
    this.details = options.details;
    // Text, not `new.target.name`: bundlers rename classes. The brand is what `is` looks for.
    Object.defineProperty(this, 'name', { value: 'MnopsError', configurable: true, writable: true });
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether a value is an error of MNOps, of whichever copy of this package. With a code: of that code. */
  static is(value: unknown, code?: MnopsErrorCode): value is MnopsError {
    if (typeof value !== 'object' || value === null) return false;
    if ((value as Record<symbol, unknown>)[brand] !== true) return false;
    return code === undefined || (value as MnopsError).code === code;
  }

  /** The error as plain data for logs: code, message and facts, without stack and without the cause's own fields. */
  toJSON(): { readonly [key: string]: JsonValue } {
    const json: Record<string, JsonValue> = { name: this.name, code: this.code, message: this.message };
    json['retryable'] = this.retryable;
    if (this.retryAfterMs !== undefined) json['retryAfterMs'] = this.retryAfterMs;
    if (this.provider !== undefined) json['provider'] = this.provider;
    if (this.operation !== undefined) json['operation'] = this.operation;
    if (this.remedy !== undefined) json['remedy'] = this.remedy;
    if (this.cause instanceof Error) json['cause'] = `${this.cause.name}: ${this.cause.message}`;
    return json;
  }
}

/** A call that the provider cannot serve; it is thrown before anything is sent. Its code is `MNOPS_CORE_UNSUPPORTED`. */
export class UnsupportedError extends MnopsError {
  constructor(message: string, options: MnopsErrorOptions = {}) {
    super('MNOPS_CORE_UNSUPPORTED', message, {
      remedy: 'Use a provider that declares this capability.',
      ...options,
    });
    Object.defineProperty(this, 'name', { value: 'UnsupportedError', configurable: true, writable: true });
  }
}

/**
 * Makes a package's function for creating errors from its code table, so that `retryable` and `remedy` come from one place.
 *
 * @param codes - The package's table.
 * @returns A function `(code, message, options?)` that returns an error to throw; `options` override the table.
 */
export function errorsOf<const T extends Readonly<Record<MnopsErrorCode, CodeEntry>>>(
  codes: T,
): (code: Extract<keyof T, MnopsErrorCode>, message: string, options?: MnopsErrorOptions) => MnopsError {
  return (code, message, options = {}) => {
    const entry = codes[code] as CodeEntry;
    return new MnopsError(code, message, {
      ...options,
      retryable: options.retryable ?? entry.retryable,
      remedy: options.remedy ?? entry.remedy,
    });
  };
}

/** The code of an error: its own if it is of MNOps, else Node's (`ENOENT`), else `undefined`. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}
