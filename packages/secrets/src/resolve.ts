import { coreError, MnopsError } from '@mnops/core';
import type { CallOptions, ResolvedSecret, SecretResolver, SecretValue } from '@mnops/core/spi';
import { isReference, parseReference } from './reference.js';
import type { SecretOperations } from './secret-operations.js';

const maxDepth = 64;
const embedded = /\$\{(secret:\/\/[^}]*)\}/g;

/** The value behind a reference; with a key, that field of it. */
export async function resolveReference(
  operations: Pick<SecretOperations, 'getOrThrow'>,
  text: string,
  options: CallOptions,
): Promise<ResolvedSecret> {
  const { path, version, stage, key } = parseReference(text);
  const { signal, timeoutMs } = options;
  const selected = version !== undefined || stage !== undefined ? { version, stage } : undefined;
  const hasOptions = selected !== undefined || signal !== undefined || timeoutMs !== undefined;
  const value = await operations.getOrThrow(path, hasOptions ? { signal, timeoutMs, ...selected } : undefined);
  return key === undefined ? value : fieldOf(value, key);
}

/** Makes the resolver that other hosts take as `secrets`. */
export function makeResolver(operations: Pick<SecretOperations, 'getOrThrow' | 'handle'>): SecretResolver {
  return {
    specVersion: 1,
    kind: 'secret-resolver',
    id: 'secrets-manager',
    resolve: (reference, options = {}) => resolveReference(operations, reference, options),
    subscribe(reference, listener) {
      const { path, version, stage, key } = parseReference(reference);
      if (version !== undefined || stage !== undefined) {
        throw coreError(
          'MNOPS_CORE_UNSUPPORTED',
          'A subscription follows the current value; the reference names another.',
          {
            remedy: 'Leave out the part after `@`.',
          },
        );
      }
      const handle = operations.handle(path);
      handle.onChange((next) => listener(key === undefined ? next : fieldOf(next, key)));
      return () => handle.close();
    },
  };
}

function fieldOf(value: SecretValue, key: string): ResolvedSecret {
  // Read now, so that a missing field fails here and not at some later use.
  value.field(key);
  return Object.freeze({
    version: value.version,
    reveal: () => value.field(key),
    toString: () => String(value),
    toJSON: () => String(value),
  });
}

/**
 * A copy of plain data with its references replaced. What a value holds is not looked at for further references: nobody
 * who can write a secret can make the reader read another.
 *
 * @throws {MnopsError} What `read` throws, with the field in `details.field`; `MNOPS_CORE_TOO_LARGE` for data nested deeper than 64.
 */
export async function resolveTexts<T>(config: T, read: (reference: string) => Promise<string>): Promise<T> {
  const copies = new Map<object, unknown>();

  async function copy(value: unknown, at: readonly string[]): Promise<unknown> {
    if (typeof value === 'string') {
      try {
        return await resolveText(value, read);
      } catch (error) {
        throw at.length === 0 ? error : placed(error, at.join('.'));
      }
    }
    if (typeof value !== 'object' || value === null) return value;
    const plain = Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value));
    if (!plain) return value;
    if (at.length > maxDepth) {
      throw coreError('MNOPS_CORE_TOO_LARGE', `The configuration is nested deeper than ${maxDepth}.`);
    }
    const known = copies.get(value);
    if (known !== undefined) return known;
    if (Array.isArray(value)) {
      const list: unknown[] = [];
      copies.set(value, list);
      for (const [index, item] of value.entries()) list.push(await copy(item, [...at, String(index)]));
      return list;
    }
    const record: Record<string, unknown> = {};
    copies.set(value, record);
    for (const [key, item] of Object.entries(value)) {
      const copied = await copy(item, [...at, key]);
      // An assignment would set the prototype for a key `__proto__`.
      Object.defineProperty(record, key, { value: copied, enumerable: true, configurable: true, writable: true });
    }
    return record;
  }

  return (await copy(config, [])) as T;
}

/** A failure that names the field of the configuration that holds the reference. */
function placed(error: unknown, field: string): unknown {
  if (!MnopsError.is(error)) return error;
  const { code, message, retryable, retryAfterMs, provider, operation, remedy, details, cause } = error;
  return new MnopsError(code, `${field}: ${message}`, {
    retryable,
    retryAfterMs,
    provider,
    operation,
    remedy,
    details: { ...details, field },
    cause,
  });
}

async function resolveText(text: string, read: (reference: string) => Promise<string>): Promise<string> {
  if (isReference(text)) return await read(text);
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(embedded)) {
    parts.push(text.slice(end, match.index), await read(match[1] ?? ''));
    end = match.index + match[0].length;
  }
  return end === 0 ? text : parts.join('') + text.slice(end);
}
