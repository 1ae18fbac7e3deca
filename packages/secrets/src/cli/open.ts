import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { coreError, MnopsError } from '@mnops/core';
import { UsageError } from '@mnops/core/command-line';
import { keyFile, passphraseKey } from '@mnops/core/crypto';
import type { KeyWrapper } from '@mnops/core/spi';
import { type EncryptedFileProvider, encryptedFile } from '../providers/encrypted-file/index.js';
import type { SecretConfig } from '../secret-config.js';
import { SecretsManager } from '../secrets-manager.js';
import type { CliOptions } from './options.js';
import type { Terminal } from './terminal.js';

/** What a command works with. */
export interface Opened {
  readonly secrets: SecretsManager;
  /** The vault, where the command line describes it; a configuration module keeps its own. */
  readonly vault: EncryptedFileProvider | undefined;
}

const defaultFolder = join('.mnops', 'secrets');

/** The manager that the command line describes. Nothing is read or written yet but a configuration module. */
export async function openManager(options: CliOptions, terminal: Terminal): Promise<Opened> {
  const { config, folder = defaultFolder } = options;
  if (config !== undefined) {
    if (options.folder !== undefined || options.keyFile !== undefined || options.passphraseFile !== undefined) {
      throw new UsageError('--config says where secrets are: leave out --folder, --key-file and --passphrase-file');
    }
    return { secrets: await fromModule(config), vault: undefined };
  }
  const key = keyOf(options.keyFile, options.passphraseFile, terminal) ?? keyFile(madeKey(terminal));
  const vault = encryptedFile({ file: join(resolve(folder), 'secrets.vault'), key });
  return { secrets: new SecretsManager({ provider: vault, folder, service: 'mnops-secrets' }), vault };
}

/** The key that two options describe, or `undefined` without either. */
export function keyOf(
  file: string | undefined,
  passphraseFile: string | undefined,
  terminal: Terminal,
): KeyWrapper | undefined {
  if (file !== undefined && passphraseFile !== undefined)
    throw new UsageError('Give a key file or a passphrase file, not both');
  if (file !== undefined) return keyFile({ file, ...madeKey(terminal) });
  if (passphraseFile === undefined) return undefined;
  let asked: Promise<string> | undefined;
  const passphrase = (): Promise<string> => {
    asked ??= passphraseFile === '-' ? terminal.ask('Passphrase: ') : readLine(passphraseFile);
    return asked;
  };
  return passphraseKey({ passphrase });
}

/** A key that is absent is made, and nobody can miss it. */
function madeKey(terminal: Terminal): { readonly create: true; readonly onCreated: (file: string) => void } {
  const onCreated = (file: string): void =>
    terminal.tell(`A key was made: ${file}. Keep a copy of it: without it the secrets are lost.`);
  return { create: true, onCreated };
}

/** A passphrase stands in the file without a line end. */
async function readLine(file: string): Promise<string> {
  const text = await readFile(file, 'utf8');
  return text.replace(/\r?\n$/, '');
}

async function fromModule(file: string): Promise<SecretsManager> {
  const given = await exportOf(file);
  if (isManager(given)) return given;
  if (typeof given === 'object' && given !== null) return new SecretsManager(given as SecretConfig);
  throw coreError('MNOPS_CORE_CONFIG_INVALID', `The module ${file} has no configuration as its default export.`, {
    remedy: 'Export a SecretsManager, its options, or a function that gives one of them, as `export default`.',
    details: { field: '--config' },
  });
}

async function exportOf(file: string): Promise<unknown> {
  try {
    const loaded = (await import(pathToFileURL(resolve(file)).href)) as { readonly default?: unknown };
    return await (typeof loaded.default === 'function' ? loaded.default() : loaded.default);
  } catch (error) {
    if (MnopsError.is(error)) throw error;
    // Its message may quote a value.
    const { code, name } = error as NodeJS.ErrnoException;
    throw coreError('MNOPS_CORE_CONFIG_INVALID', `The module ${file} could not be loaded (${code ?? name}).`, {
      remedy: 'Check its path and what it imports, such as with `node --check`.',
      details: { field: '--config' },
    });
  }
}

/** Also one of another copy of this package. */
function isManager(value: unknown): value is SecretsManager {
  const manager = value as Partial<SecretsManager> | null | undefined;
  return typeof manager?.getOrThrow === 'function' && typeof manager.stop === 'function';
}
