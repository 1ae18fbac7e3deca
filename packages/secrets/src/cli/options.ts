import { parseArgs } from 'node:util';

/** Everything that the command line can say. */
export interface CliOptions {
  readonly words: readonly string[];
  readonly config?: string | undefined;
  readonly folder?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly toKeyFile?: string | undefined;
  readonly toPassphraseFile?: string | undefined;
  readonly actor?: string | undefined;
  readonly versionId?: string | undefined;
  readonly toVersion?: string | undefined;
  readonly stage?: string | undefined;
  readonly expiresAt?: string | undefined;
  readonly prefix?: string | undefined;
  readonly format?: string | undefined;
  readonly fromFile?: string | undefined;
  readonly dryRun: boolean;
  readonly permanent: boolean;
  readonly resume: boolean;
  readonly reveal: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

/** A command line that cannot be understood, in words for a person. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Whether an error is about the command line. */
export function isUsageError(error: unknown): error is UsageError {
  return error instanceof Error && error.name === 'UsageError';
}

const texts = [
  'config',
  'folder',
  'key-file',
  'passphrase-file',
  'to-key-file',
  'to-passphrase-file',
  'actor',
  'version-id',
  'to-version',
  'stage',
  'expires-at',
  'prefix',
  'format',
  'from-file',
] as const;
const flags = ['dry-run', 'permanent', 'resume', 'reveal', 'json', 'help'] as const;

/** @throws {UsageError} For an unknown option, a missing or a superfluous value. */
export function readOptions(args: readonly string[]): CliOptions {
  const options = Object.fromEntries([
    ...texts.map((name) => [name, { type: 'string' as const }]),
    ...flags.map((name) => [name, { type: 'boolean' as const }]),
  ]);
  let values: Readonly<Record<string, unknown>>;
  let words: readonly string[];
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    values = parsed.values;
    words = parsed.positionals;
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('. ', 1)[0] ?? '') : 'Unknown option');
  }
  const text = (name: (typeof texts)[number]): string | undefined => values[name] as string | undefined;
  const flag = (name: (typeof flags)[number]): boolean => values[name] === true;
  return {
    words,
    config: text('config'),
    folder: text('folder'),
    keyFile: text('key-file'),
    passphraseFile: text('passphrase-file'),
    toKeyFile: text('to-key-file'),
    toPassphraseFile: text('to-passphrase-file'),
    actor: text('actor'),
    versionId: text('version-id'),
    toVersion: text('to-version'),
    stage: text('stage'),
    expiresAt: text('expires-at'),
    prefix: text('prefix'),
    format: text('format'),
    fromFile: text('from-file'),
    dryRun: flag('dry-run'),
    permanent: flag('permanent'),
    resume: flag('resume'),
    reveal: flag('reveal'),
    json: flag('json'),
    help: flag('help'),
  };
}
