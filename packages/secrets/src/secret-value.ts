import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import type { SecretSchema, SecretStage, SecretValue, StoredSecret } from '@mnops/core/spi';
import { secretsError } from './codes.js';

/**
 * Makes a value that does not print itself. The bytes live in a private field: inspecting with any option, JSON,
 * structured clones and `v8.serialize` do not reach them, and text conversions give `[secret <path> v<version>]`.
 */
export function toSecretValue(path: string, provider: string, stored: StoredSecret): SecretValue {
  return new RedactedValue(path, provider, stored, false);
}

/** The same value, marked as served past its time. */
export function toStaleValue(value: SecretValue): SecretValue {
  const stored: StoredSecret = {
    value: value.bytes(),
    version: value.version,
    stages: value.stages,
    createdAtMs: value.createdAt?.getTime(),
    expiresAtMs: value.expiresAt?.getTime(),
    contentType: value.contentType,
  };
  return new RedactedValue(value.path, value.provider, stored, true);
}

class RedactedValue implements SecretValue {
  readonly path: string;
  readonly version: string;
  readonly stages: readonly SecretStage[];
  readonly provider: string;
  readonly stale: boolean;
  readonly createdAt?: Date;
  readonly expiresAt?: Date;
  readonly contentType?: string;
  readonly #bytes: Buffer;

  constructor(path: string, provider: string, stored: StoredSecret, stale: boolean) {
    this.path = path;
    this.provider = provider;
    this.version = stored.version;
    this.stages = Object.freeze([...stored.stages]);
    this.stale = stale;
    if (stored.createdAtMs !== undefined) this.createdAt = new Date(stored.createdAtMs);
    if (stored.expiresAtMs !== undefined) this.expiresAt = new Date(stored.expiresAtMs);
    if (stored.contentType !== undefined) this.contentType = stored.contentType;
    // Not from the shared pool: nobody else's buffer lies in the same memory.
    this.#bytes = Buffer.alloc(stored.value.length);
    this.#bytes.set(stored.value);
    Object.freeze(this);
  }

  reveal(): string {
    return decodeText(this.#bytes, this.path);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  json<T = unknown>(schema?: SecretSchema<T>): T {
    const parsed = this.#parse();
    if (schema === undefined) return parsed as T;
    const result = schema['~standard'].validate(parsed);
    if ('then' in result) throw invalidValue(this.path, 'the schema is asynchronous; give one that checks at once');
    if (result.issues !== undefined) {
      const fields = result.issues.slice(0, 20).map(({ path = [] }) => path.map(fieldName).join('.') || '(root)');
      throw invalidValue(this.path, `the schema refuses ${fields.join(', ')}`);
    }
    return (result as { readonly value: T }).value;
  }

  field(key: string): string {
    const parsed = this.#parse();
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw invalidValue(this.path, 'it is not a JSON object, so it has no fields');
    }
    if (!Object.hasOwn(parsed, key)) throw invalidValue(this.path, `it has no field ${JSON.stringify(key)}`);
    const field = (parsed as Record<string, unknown>)[key];
    if (typeof field === 'string') return field;
    if (typeof field === 'number' || typeof field === 'boolean') return String(field);
    throw invalidValue(this.path, `its field ${JSON.stringify(key)} is not text`);
  }

  equals(other: string | Uint8Array): boolean {
    const bytes = typeof other === 'string' ? Buffer.from(other) : other;
    // Unequal lengths compare with themselves, so that the time says as little as it can.
    if (bytes.length !== this.#bytes.length) return timingSafeEqual(this.#bytes, this.#bytes) && false;
    return timingSafeEqual(this.#bytes, bytes);
  }

  toString(): string {
    return `[secret ${this.path} v${this.version}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.toPrimitive](): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }

  get [Symbol.toStringTag](): string {
    return 'SecretValue';
  }

  #parse(): unknown {
    const text = decodeText(this.#bytes, this.path);
    try {
      return JSON.parse(text);
    } catch {
      // V8's message quotes its input, so neither it nor the error as a cause may be passed on.
      throw invalidValue(this.path, 'it is not JSON');
    }
  }
}

function decodeText(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalidValue(path, 'it is not UTF-8 text; read it with bytes()');
  }
}

/** Standard Schema allows a key or an object that holds it. */
function fieldName(part: unknown): string {
  const key = typeof part === 'object' && part !== null ? (part as { readonly key?: unknown }).key : part;
  return String(key);
}

function invalidValue(path: string, why: string): Error {
  return secretsError('MNOPS_SECRETS_VALUE_INVALID', `The secret ${path} is not of the form asked for: ${why}.`, {
    details: { path, why },
  });
}
