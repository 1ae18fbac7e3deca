import { MnopsError } from '@mnops/core';
import { type ConfigIssue, configError } from '@mnops/core/config';
import type { CallOptions, SecretValue } from '@mnops/core/spi';
import { assertPath, assertPrefix } from '../path.js';
import type { SecretInput, SecretOperations } from '../secret-operations.js';
import { encodeInput } from '../write/input.js';
import {
  parseJsonDocument,
  parseYamlDocument,
  toDocumentValue,
  writeJsonDocument,
  writeYamlDocument,
} from './documents.js';
import { dotenvLine, type ParsedText, parseDotenv } from './dotenv.js';

/** A text form of several secrets. */
export type ExchangeFormat = 'dotenv' | 'json' | 'yaml';

/** How an import is done. */
export interface ImportOptions extends CallOptions {
  readonly format: ExchangeFormat;
  /** Put before each name, such as `shop/`. Default none. */
  readonly prefix?: string | undefined;
  /** Only say what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What an import did, or would do, by path. */
export interface ImportReport {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  /** The same bytes were stored already; nothing was written. */
  readonly unchanged: readonly string[];
  readonly failed: ReadonlyMap<string, MnopsError>;
}

/** How an export is written. */
export interface ExportOptions extends CallOptions {
  readonly format: ExchangeFormat;
}

type Operations = Pick<SecretOperations, 'get' | 'getMany' | 'list' | 'put'>;

const formats: readonly string[] = ['dotenv', 'json', 'yaml'];
const mostBytes = 16 * 1_024 * 1_024;

/** Stores what a text says, each secret by itself. Nothing is written when the text or a path cannot be read. */
export async function importSecrets(
  operations: Operations,
  text: string,
  options: ImportOptions,
): Promise<ImportReport> {
  const { prefix = '', dryRun = false, signal, timeoutMs } = options;
  assertFormat('importFrom', options.format);
  assertPrefix(prefix);
  const values = await readAll(text, options.format, folderOf(prefix));
  const created: string[] = [];
  const updated: string[] = [];
  const unchanged: string[] = [];
  const failed = new Map<string, MnopsError>();
  for (const [path, value] of values) {
    try {
      const before = await presentValue(operations, path, { signal, timeoutMs });
      if (before?.equals(encodeInput(value).bytes) === true) {
        unchanged.push(path);
        continue;
      }
      if (!dryRun) await operations.put(path, value, { signal, timeoutMs });
      (before === undefined ? created : updated).push(path);
    } catch (error) {
      if (!MnopsError.is(error) || signal?.aborted === true) throw error;
      failed.set(path, error);
    }
  }
  return { created, updated, unchanged, failed };
}

/** The secrets below a prefix as one text. It holds every value in the clear. */
export async function exportSecrets(operations: Operations, prefix: string, options: ExportOptions): Promise<string> {
  const { format, signal, timeoutMs } = options;
  assertFormat('exportTo', format);
  assertPrefix(prefix);
  const folder = folderOf(prefix);
  const paths: string[] = [];
  for await (const { path } of operations.list(folder, { signal, timeoutMs })) paths.push(path);
  const { found, failed } = await operations.getMany(paths, { signal, timeoutMs });
  // An export that lacks something without a word would be taken for whole.
  for (const error of failed.values()) throw error;
  const secrets = paths.flatMap((path) => found.get(path) ?? []);
  if (format === 'dotenv') return toDotenv(secrets, folder);
  const values = new Map(secrets.map((secret) => [secret.path.slice(folder.length), documentValueOf(secret)]));
  return format === 'json' ? writeJsonDocument(values) : await writeYamlDocument(values);
}

async function readAll(text: string, format: ExchangeFormat, folder: string): Promise<Map<string, SecretInput>> {
  if (typeof text !== 'string' || Buffer.byteLength(text) > mostBytes) {
    const received = typeof text === 'string' ? 'a longer text' : typeof text;
    throw refused([{ field: 'text', expected: `text of at most ${mostBytes} bytes`, received, remedy: 'Split it.' }]);
  }
  const { values, problems } = await parse(text, format);
  const issues: ConfigIssue[] = problems.map(({ line, expected }) => ({
    field: `line ${line}`,
    expected,
    received: 'something else',
    remedy: `Correct line ${line}; it is not quoted here because it may hold a secret.`,
  }));
  const secrets = new Map<string, SecretInput>();
  for (const [name, value] of values) {
    const path = folder + name;
    try {
      assertPath(path);
      encodeInput(value as SecretInput);
      secrets.set(path, value as SecretInput);
    } catch (error) {
      const expected = MnopsError.is(error, 'MNOPS_SECRETS_PATH_INVALID') ? 'a path in normal form' : 'a value';
      const remedy = `Rename or correct ${JSON.stringify(name)}.`;
      issues.push({ field: name, expected, received: 'something else', remedy });
    }
  }
  if (issues.length > 0) throw refused(issues);
  return secrets;
}

async function parse(text: string, format: ExchangeFormat): Promise<ParsedText> {
  if (format === 'dotenv') return parseDotenv(text);
  return format === 'json' ? parseJsonDocument(text) : await parseYamlDocument(text);
}

/** The stored value, if the actor may know it. */
async function presentValue(
  operations: Operations,
  path: string,
  options: CallOptions,
): Promise<SecretValue | undefined> {
  try {
    return await operations.get(path, { ...options, maxAgeMs: 0, allowExpired: true });
  } catch (error) {
    const unreadable = ['MNOPS_CORE_ACCESS_DENIED', 'MNOPS_SECRETS_VERSION_UNAVAILABLE'];
    if (MnopsError.is(error) && unreadable.includes(error.code)) return undefined;
    throw error;
  }
}

function toDotenv(secrets: readonly SecretValue[], folder: string): string {
  const owners = new Map<string, string>();
  let text = '';
  for (const secret of secrets) {
    const name = secret.path
      .slice(folder.length)
      .toUpperCase()
      .replace(/[^A-Z0-9_]/g, '_');
    const bytes = Buffer.from(secret.bytes());
    const value = bytes.toString('utf8');
    const wrong =
      (!/^[A-Z_]/.test(name) && 'a path that begins with a letter') ||
      (owners.has(name) && `a name of its own: ${owners.get(name)} is ${name} too`) ||
      ((!Buffer.from(value, 'utf8').equals(bytes) || value.includes('\0')) && 'text without NUL');
    if (wrong !== false) {
      const remedy = 'Export as json or yaml, which take any path and any bytes.';
      throw configError('exportTo', [{ field: secret.path, expected: wrong, received: 'another secret', remedy }]);
    }
    owners.set(name, secret.path);
    text += dotenvLine(name, value);
  }
  return text;
}

function documentValueOf(secret: SecretValue): unknown {
  return toDocumentValue(secret.bytes(), secret.contentType);
}

function folderOf(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

function assertFormat(call: string, format: unknown): void {
  if (typeof format === 'string' && formats.includes(format)) return;
  const received = typeof format === 'string' ? 'another text' : String(typeof format);
  const expected = "'dotenv', 'json' or 'yaml'";
  throw configError(call, [{ field: 'format', expected, received, remedy: `Set \`format\` to ${expected}.` }]);
}

function refused(issues: readonly ConfigIssue[]): Error {
  return configError('importFrom', [...issues]);
}
