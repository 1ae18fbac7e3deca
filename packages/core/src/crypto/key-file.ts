import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { configError, functionSchema, parseOptions, textSchema } from '../config/index.js';
import { coreError, storageError } from '../errors/core-error.js';
import { codeOf, MnopsError } from '../errors/mnops-error.js';
import { ensureFolder, writeFileOnce } from '../files/atomic.js';
import type { Call } from '../spi/base.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { keyCheck, unwrapDataKey, wrapDataKey } from './key-wrap.js';
import { constantTimeEqual, keyBytes } from './primitives.js';

/** Where a key file is, and whether it may be made. */
export interface KeyFileOptions {
  /** Path. Default: `mnops/key` in `XDG_CONFIG_HOME`, else in `~/.config`. Keep it apart from the data: whoever has both has everything. */
  readonly file?: string | undefined;
  /** Make the file with a new random key when it is absent at the first wrap or `open`. Default false. */
  readonly create?: boolean | undefined;
  /** Called once with the path when the file was made. Losing that file is losing the data. */
  readonly onCreated?: ((file: string) => void) | undefined;
  /** Name stored beside what the key wrapped. Default `key-file`. */
  readonly keyId?: string | undefined;
}

/** A key wrapper whose key stands in a file. */
export interface KeyFile extends KeyWrapper {
  /** Where the file is. */
  readonly file: string;
}

const label = 'mnops-key-1';

const optionsSchema = v.strictObject({
  file: v.optional(textSchema),
  create: v.optional(v.boolean()),
  onCreated: v.optional(functionSchema),
  keyId: v.optional(textSchema),
});

/**
 * A key wrapper whose key stands in a file that only its owner may read. The file is read at the first use; its one line
 * is `mnops-key-1:<key in base64url>:<check in hexadecimal>`.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. At use: `MNOPS_CORE_KEY_INVALID` when the file is absent and may not be made, readable by others,
 * damaged, or another key than the data was sealed with; `MNOPS_CORE_STORAGE_FAILED`.
 */
export function keyFile(options: KeyFileOptions = {}): KeyFile {
  if (typeof options === 'string') throw pathAlone();
  parseOptions('keyFile', optionsSchema, options);
  const file = resolve(options.file ?? defaultFile(process.env));
  let loading: Promise<Uint8Array> | undefined;

  const load = (mayCreate: boolean, call: Call): Promise<Uint8Array> => {
    call.signal.throwIfAborted();
    loading ??= readOrMake(file, mayCreate && options.create === true, options.onCreated).catch((error: unknown) => {
      // A file that is mended later is read again.
      loading = undefined;
      throw error;
    });
    return loading;
  };
  return {
    specVersion: 1,
    kind: 'key-wrapper',
    id: 'key-file',
    keyId: options.keyId ?? 'key-file',
    file,
    open: async (call) => {
      await load(true, call);
    },
    wrap: async (dataKey, context, call) => wrapDataKey(await load(true, call), dataKey, context),
    unwrap: async (_keyId, wrapped, context, call) => unwrapDataKey(await load(false, call), wrapped, context),
  };
}

function pathAlone(): Error {
  const remedy = 'Write `keyFile({ file })`.';
  return configError('keyFile', [{ field: '', expected: 'an object with `file`', received: 'string', remedy }]);
}

/** Where the key file is when nobody says otherwise. */
export function defaultFile(environment: NodeJS.ProcessEnv): string {
  const named = environment['XDG_CONFIG_HOME'];
  // The specification of these folders says that a relative path is to be ignored.
  const base = named?.startsWith('/') === true ? named : join(homedir(), '.config');
  return join(base, 'mnops', 'key');
}

async function readOrMake(
  file: string,
  create: boolean,
  onCreated: ((file: string) => void) | undefined,
): Promise<Uint8Array> {
  const found = await readKey(file);
  if (found !== undefined) return found;
  if (!create) {
    throw coreError('MNOPS_CORE_KEY_INVALID', `There is no key file ${file}.`, {
      remedy: 'Put the key file that the data was sealed with there, or pass `create: true` for new data.',
      details: { path: file },
    });
  }
  await ensureFolder(dirname(file));
  const made = await makeKey(file);
  const key = await readKey(file);
  if (key === undefined) throw storageError('read', file, { code: 'ENOENT' });
  if (made) onCreated?.(file);
  return key;
}

async function readKey(file: string): Promise<Uint8Array | undefined> {
  try {
    const handle = await open(file, 'r');
    try {
      const { mode, size } = await handle.stat();
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) throw exposed(file, mode);
      if (size > 4096) throw damaged(file);
      return parseKey(await handle.readFile('latin1'), file);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw MnopsError.is(error) ? error : storageError('read', file, error);
  }
}

function parseKey(text: string, file: string): Uint8Array {
  const [name, encoded = '', check = '', ...rest] = text.trim().split(':');
  const key = Buffer.from(encoded, 'base64url');
  if (name !== label || rest.length > 0 || key.length !== keyBytes) throw damaged(file);
  if (!constantTimeEqual(Buffer.from(check, 'hex'), keyCheck(key))) throw damaged(file);
  return Uint8Array.from(key);
}

/** Makes the file unless another process is faster; tells whether it was made here. */
async function makeKey(file: string): Promise<boolean> {
  const key = randomBytes(keyBytes);
  const text = `${label}:${key.toString('base64url')}:${Buffer.from(keyCheck(key)).toString('hex')}\n`;
  key.fill(0);
  return await writeFileOnce(file, text, { mode: 0o600 });
}

function exposed(file: string, mode: number): Error {
  const bits = (mode & 0o777).toString(8);
  return coreError('MNOPS_CORE_KEY_INVALID', `The key file ${file} has mode ${bits}: others may read or change it.`, {
    remedy: `Run \`chmod 600 ${file}\`; if others had access meanwhile, change the key.`,
    details: { path: file, mode: bits },
  });
}

function damaged(file: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `${file} holds no whole MNOps key.`, {
    remedy: 'Restore the key file from a backup.',
    details: { path: file },
  });
}
