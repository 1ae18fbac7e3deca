import { createHash } from 'node:crypto';
import { lstat, opendir, readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { codeOf, storageError } from '@mnops/core';
import { countSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { SecretValue } from '@mnops/core/spi';
import * as v from 'valibot';
import { type Needles, needlesOf } from './redactor.js';
import { scanRules } from './scan-rules.js';

/** What is looked through, and for what. */
export interface ScanOptions {
  /** A file, or a folder with everything below it. Symbolic links are not followed. */
  readonly folder: string;
  /** Values that must not be there: found also in base64, hexadecimal, URL and JSON form. Default none. */
  readonly values?: Iterable<SecretValue> | undefined;
  /** Names of files and folders that are passed over. Default `.git` and `node_modules`. */
  readonly ignore?: readonly string[] | undefined;
  /** Larger files are passed over; bytes. Default 5 MiB. */
  readonly maxFileBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A place where a secret stands. The secret itself is not in it. */
export interface ScanFinding {
  /** Relative to the folder. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** `known-value`, or the kind that its form tells, such as `aws-access-key`. */
  readonly rule: string;
  /** Path of the secret, for a known value. */
  readonly path?: string | undefined;
  /** Same for the same text: for lists of what is known and accepted. It cannot be turned back. */
  readonly fingerprint: string;
}

const optionsSchema = v.strictObject({
  folder: textSchema,
  values: v.optional(v.custom<Iterable<SecretValue>>((value) => typeof value === 'object', 'secret values')),
  ignore: v.optional(v.array(v.string()), ['.git', 'node_modules']),
  maxFileBytes: v.optional(countSchema, 5 * 1_024 * 1_024),
  signal: v.optional(v.instance(AbortSignal)),
});

/**
 * Looks for secrets in files: known values in any of their forms, and credentials that are told by their form. Binary
 * files are searched for known values too. Findings come in the order of the files' names.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for options, `MNOPS_CORE_STORAGE_FAILED` for what cannot be read.
 */
export async function* scan(options: ScanOptions): AsyncGenerator<ScanFinding, void> {
  const { folder, ignore, maxFileBytes, signal } = parseOptions('scan', optionsSchema, options);
  const needles = needlesOf(options.values ?? [], 6);
  for await (const file of filesBelow(folder, new Set(ignore), signal)) {
    const text = await textOf(file, maxFileBytes);
    if (text === undefined) continue;
    const name = relative(folder, file);
    yield* findingsIn(text, needles, name === '' ? basename(file) : name);
  }
}

async function* filesBelow(
  path: string,
  ignore: ReadonlySet<string>,
  signal?: AbortSignal,
): AsyncGenerator<string, void> {
  signal?.throwIfAborted();
  try {
    const facts = await lstat(path);
    if (facts.isFile()) yield path;
    if (!facts.isDirectory()) return;
  } catch (error) {
    throw storageError('scan', path, error);
  }
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(path)) if (!ignore.has(name)) names.push(name);
  } catch (error) {
    throw storageError('scan', path, error);
  }
  for (const name of names.sort()) yield* filesBelow(join(path, name), ignore, signal);
}

async function textOf(file: string, maxFileBytes: number): Promise<string | undefined> {
  try {
    if ((await lstat(file)).size > maxFileBytes) return undefined;
    return (await readFile(file)).toString('utf8');
  } catch (error) {
    // It went between the look at its folder and now.
    if (codeOf(error) === 'ENOENT') return undefined;
    throw storageError('scan', file, error);
  }
}

function* findingsIn(text: string, { pattern, paths }: Needles, file: string): Generator<ScanFinding> {
  const found: { index: number; rule: string; secret: string; path?: string }[] = [];
  for (const match of pattern === undefined ? [] : text.matchAll(pattern)) {
    const path = paths.get(match[0]);
    found.push({ index: match.index, rule: 'known-value', secret: match[0], ...(path === undefined ? {} : { path }) });
  }
  // What looks like a credential in a binary file is chance.
  const binary = text.includes('\0');
  // The token of one of our own locks looks like a credential and is none.
  const lock = file.endsWith('.lock') && /^\{"pid":\d+,"startTime":/.test(text);
  for (const { id, pattern: form, accepts } of binary || lock ? [] : scanRules) {
    for (const match of text.matchAll(form)) {
      const secret = match[1] ?? match[0];
      const index = match.index + match[0].lastIndexOf(secret);
      if (accepts?.(secret) === false || found.some((each) => overlaps(each, index, secret.length))) continue;
      found.push({ index, rule: id, secret });
    }
  }
  found.sort((a, b) => a.index - b.index);
  let line = 1;
  let lineStart = 0;
  for (const { index, rule, secret, path } of found) {
    for (let end = text.indexOf('\n', lineStart); end >= 0 && end < index; end = text.indexOf('\n', lineStart)) {
      line += 1;
      lineStart = end + 1;
    }
    const fingerprint = createHash('sha256').update(`${rule}\0${secret}`).digest('hex').slice(0, 16);
    yield { file, line, column: index - lineStart + 1, rule, ...(path === undefined ? {} : { path }), fingerprint };
  }
}

function overlaps(each: { readonly index: number; readonly secret: string }, index: number, length: number): boolean {
  return index < each.index + each.secret.length && each.index < index + length;
}
