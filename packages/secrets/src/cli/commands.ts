import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { callOf, coreError } from '@mnops/core';
import { type Command as ProgramCommand, UsageError } from '@mnops/core/command-line';
import type { ExchangeFormat } from '../exchange/exchange.js';
import { scan } from '../redaction/scan.js';
import type { SecretMetadata, SecretOperations } from '../secret-operations.js';
import { exitCodeOf, exitCodes } from './exit-code.js';
import { keyOf, type Opened } from './open.js';
import type { CliOptions } from './options.js';
import type { Terminal } from './terminal.js';

/** What a command is run with. */
export interface CommandContext extends Opened {
  readonly operations: SecretOperations;
  readonly options: CliOptions;
  readonly words: readonly string[];
  readonly terminal: Terminal;
}

/** One command. */
export interface Command extends ProgramCommand {
  /** @returns The exit code. */
  run(context: CommandContext): Promise<number>;
}

type Entry = readonly [
  name: string,
  usage: string,
  words: readonly [number, number],
  run: Command['run'],
  whenMore?: string,
];

const entries: readonly Entry[] = [
  ['get', 'get <path> [--reveal] [--version-id <id>] [--stage <name>]', [1, 1], get],
  [
    'put',
    'put <path> [--from-file <file>] [--expires-at <date>]',
    [1, 1],
    put,
    'A value is never taken from the command line',
  ],
  ['list', 'list [prefix]', [0, 1], list],
  ['versions', 'versions <path>', [1, 1], versions],
  ['rollback', 'rollback <path> [--to-version <id>]', [1, 1], rollback],
  ['delete', 'delete <path> [--permanent]', [1, 1], remove],
  ['restore', 'restore <path>', [1, 1], restore],
  ['rotate', 'rotate <path> | rotate --resume', [0, 1], rotate],
  ['import', 'import <file> [--prefix <path>] [--format <format>] [--dry-run]', [1, 1], importFile],
  ['export', 'export [prefix] --reveal [--format <format>]', [0, 1], exportText],
  ['audit verify', 'audit verify', [0, 0], auditVerify],
  ['audit list', 'audit list', [0, 0], auditList],
  ['scan', 'scan <folder>', [1, 1], scanFolder],
  ['rewrap', 'rewrap --to-key-file <file> | --to-passphrase-file <file>', [0, 0], rewrap],
];

/** Every command by its name. */
export const commands: ReadonlyMap<string, Command> = new Map(
  entries.map(([name, usage, words, run, whenMore]) => [name, { usage, words, run, whenMore }]),
);

async function get({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const [path = ''] = words;
  const { versionId: version, stage, reveal, json } = options;
  const value = await operations.getOrThrow(path, { version, stage });
  const facts = {
    path,
    version: value.version,
    stages: value.stages,
    provider: value.provider,
    expiresAt: value.expiresAt,
  };
  if (!reveal) print(terminal, json, facts, `${value}`);
  else if (json) print(terminal, true, { ...facts, ...revealed(value.bytes()) }, '');
  else {
    terminal.write(value.bytes());
    // A person wants the prompt on a line of its own; a program wants the bytes and nothing else.
    if (terminal.shown) terminal.write('\n');
  }
  return exitCodes.done;
}

async function put({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const [path = ''] = words;
  const expiresAt = options.expiresAt === undefined ? undefined : new Date(options.expiresAt);
  if (expiresAt !== undefined && Number.isNaN(expiresAt.getTime())) throw new UsageError('--expires-at is no date');
  const bytes = await valueToPut(options, terminal);
  const text = bytes.toString('utf8');
  const value = Buffer.from(text, 'utf8').equals(bytes) ? text : bytes;
  const metadata = await operations.put(path, value, { expiresAt, stage: options.stage });
  print(terminal, options.json, metadata, `${path} has version ${metadata.version ?? ''}`);
  return exitCodes.done;
}

async function valueToPut({ fromFile }: CliOptions, terminal: Terminal): Promise<Buffer> {
  if (fromFile !== undefined) return await readFile(fromFile);
  if (terminal.interactive) return Buffer.from(await terminal.ask('Value: '), 'utf8');
  return await terminal.read();
}

async function list({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const all: SecretMetadata[] = [];
  for await (const metadata of operations.list(words[0])) all.push(metadata);
  const lines = all.map(({ path, version = '-', expiresAt }) =>
    [path, version, expiresAt === undefined ? '' : `expires ${expiresAt.toISOString()}`].join('\t').trimEnd(),
  );
  print(terminal, options.json, all, lines.join('\n'));
  return exitCodes.done;
}

async function versions({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const all = [];
  for await (const version of operations.versions(words[0] ?? '')) all.push(version);
  if (all.length === 0) throw notFound(words[0] ?? '');
  const lines = all.map(({ version, stages, state, createdAt }) =>
    [version, state, createdAt.toISOString(), stages.join(',')].join('\t').trimEnd(),
  );
  print(terminal, options.json, all, lines.join('\n'));
  return exitCodes.done;
}

async function rollback({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const metadata = await operations.rollback(words[0] ?? '', { toVersion: options.toVersion });
  print(terminal, options.json, metadata, `${metadata.path} has version ${metadata.version ?? ''}`);
  return exitCodes.done;
}

async function remove({ operations, options, words }: CommandContext): Promise<number> {
  await operations.delete(words[0] ?? '', { permanent: options.permanent });
  return exitCodes.done;
}

async function restore({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const metadata = await operations.restore(words[0] ?? '');
  print(terminal, options.json, metadata, `${metadata.path} has version ${metadata.version ?? ''}`);
  return exitCodes.done;
}

async function rotate({ secrets, options, words, terminal }: CommandContext): Promise<number> {
  const [path] = words;
  if (path === undefined && !options.resume) throw new UsageError('Give a path, or --resume');
  secrets.on('rotation:advanced', ({ step }) => terminal.tell(`  ${step}`));
  const results = options.resume ? await secrets.rotation.resume(path) : [await secrets.rotation.rotate(path ?? '')];
  const lines = results.map(
    ({ path: rotated, outcome, version = '' }) =>
      `${rotated}: ${outcome}${version === '' ? '' : `, version ${version}`}`,
  );
  print(terminal, options.json, results, lines.join('\n'));
  return exitCodes.done;
}

async function importFile({ operations, options, words, terminal }: CommandContext): Promise<number> {
  const [file = ''] = words;
  const text = (file === '-' ? await terminal.read() : await readFile(file)).toString('utf8');
  const { prefix, dryRun } = options;
  const report = await operations.importFrom(text, { format: formatOf(options.format, file), prefix, dryRun });
  const failures = [...report.failed].map(([path, error]) => ({ path, code: error.code, message: error.message }));
  const lines = (['created', 'updated', 'unchanged'] as const).map((what) => `${what}: ${report[what].length}`);
  print(terminal, options.json, { ...report, failed: failures }, lines.join('\n'));
  for (const { path, code } of failures) terminal.tell(`${path}: ${code}`);
  const [first] = report.failed.values();
  return first === undefined ? exitCodes.done : exitCodeOf(first);
}

async function exportText({ operations, options, words, terminal }: CommandContext): Promise<number> {
  if (!options.reveal) throw new UsageError('An export holds every value in the clear: add --reveal');
  terminal.write(
    await operations.exportTo(words[0] ?? '', {
      format: formatOf(options.format ?? (options.json ? 'json' : 'dotenv'), ''),
    }),
  );
  return exitCodes.done;
}

async function auditVerify({ secrets, options, terminal }: CommandContext): Promise<number> {
  const { intact, records, findings } = await secrets.audit.verify();
  const lines = [
    `${records} records, ${intact ? 'intact' : 'NOT intact'}`,
    ...findings.map((each) => JSON.stringify(each)),
  ];
  print(terminal, options.json, { intact, records, findings }, lines.join('\n'));
  return intact ? exitCodes.done : exitCodes.notIntact;
}

async function auditList({ secrets, options, terminal }: CommandContext): Promise<number> {
  for await (const entry of secrets.audit.query()) {
    const { at, actor, operation, path, version = '', outcome } = entry;
    print(terminal, options.json, entry, [at.toISOString(), actor, operation, path, version, outcome].join('\t'), 0);
  }
  return exitCodes.done;
}

async function scanFolder({ operations, options, words, terminal }: CommandContext): Promise<number> {
  // The values of the vault are looked for too, as far as the actor may read them.
  const paths: string[] = [];
  for await (const { path } of operations.list()) paths.push(path);
  const { found: values } = await operations.getMany(paths);
  const findings = [];
  for await (const finding of scan({ folder: words[0] ?? '', values: values.values() })) findings.push(finding);
  const lines = findings.map(({ file, line, column, rule, path, fingerprint }) =>
    [`${file}:${line}:${column}`, rule, path ?? '', fingerprint].join('\t'),
  );
  print(terminal, options.json, findings, lines.join('\n'));
  return findings.length === 0 ? exitCodes.done : exitCodes.found;
}

async function rewrap({ vault, options, terminal }: CommandContext): Promise<number> {
  const to = keyOf(options.toKeyFile, options.toPassphraseFile, terminal);
  if (to === undefined) throw new UsageError('Give --to-key-file or --to-passphrase-file');
  if (vault === undefined) throw new UsageError('A vault is rewrapped with --folder, not with --config');
  const call = callOf({});
  try {
    const { values, keyId } = await vault.rewrap({ to }, call);
    print(terminal, options.json, { values, keyId }, `${values} values are wrapped with ${keyId} now`);
    const { toKeyFile, toPassphraseFile } = options;
    const next = toKeyFile === undefined ? `--passphrase-file ${toPassphraseFile}` : `--key-file ${toKeyFile}`;
    terminal.tell(`From now on the vault opens with ${next}.`);
  } finally {
    call.end();
  }
  return exitCodes.done;
}

function formatOf(given: string | undefined, file: string): ExchangeFormat {
  const byName: Readonly<Record<string, ExchangeFormat>> = {
    '.json': 'json',
    '.yaml': 'yaml',
    '.yml': 'yaml',
    '.env': 'dotenv',
  };
  const name =
    given ?? byName[extname(file).toLowerCase()] ?? (/(^|[/.])\.?env(\.|$)/.test(file) ? 'dotenv' : undefined);
  if (name === 'dotenv' || name === 'json' || name === 'yaml') return name;
  throw new UsageError('--format is dotenv, json or yaml');
}

function revealed(bytes: Uint8Array): { readonly value: string } | { readonly base64: string } {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString('utf8');
  return Buffer.from(text, 'utf8').equals(buffer) ? { value: text } : { base64: buffer.toString('base64') };
}

function print(terminal: Terminal, json: boolean, data: unknown, text: string, indent = 2): void {
  const shown = json ? JSON.stringify(data, undefined, indent) : text;
  if (shown !== '') terminal.write(`${shown}\n`);
}

function notFound(path: string): Error {
  return coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path}.`, { details: { path } });
}
