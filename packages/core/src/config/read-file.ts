import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import { isPlain } from './merge.js';
import type { ConfigIssue } from './parse-options.js';

const mostBytes = 4 * 1024 * 1024;

/** What a configuration file says: its data, or what is wrong with it. */
export type FileContent =
  | { readonly data: Readonly<Record<string, unknown>> }
  | { readonly issue: ConfigIssue }
  | { readonly absent: true };

/** Reads a JSON or YAML file, by its extension. Nothing that is reported quotes its content. */
export async function readConfigFile(file: string): Promise<FileContent> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { absent: true };
    throw storageError('read', file, error);
  }
  if (Buffer.byteLength(text) > mostBytes) return wrong(file, `at most ${mostBytes} bytes`, 'a larger file');
  const extension = extname(file).toLowerCase();
  const withoutMark = text.replace(/^\uFEFF/, '');
  if (extension === '.json') return parseJson(file, withoutMark);
  if (extension === '.yaml' || extension === '.yml') return parseYaml(file, withoutMark);
  return wrong(file, 'a name that ends in .json, .yaml or .yml', 'another name');
}

function parseJson(file: string, text: string): FileContent {
  try {
    return checked(file, JSON.parse(text), 'JSON');
  } catch (error) {
    // Node's message quotes the text; only the position in it is taken over.
    const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    return wrong(file, 'valid JSON', `an error${position === undefined ? '' : ` in ${place(text, Number(position))}`}`);
  }
}

async function parseYaml(file: string, text: string): Promise<FileContent> {
  // 55 ms to load: only when a YAML file is met.
  const { parseDocument } = await import('yaml');
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'error', merge: true, stringKeys: true });
    const error = document.errors[0] ?? document.warnings[0];
    if (error !== undefined) return wrong(file, 'valid YAML', `${error.code} in ${place(text, error.pos[0])}`);
    return checked(file, document.toJS({ maxAliasCount: 100 }), 'YAML');
  } catch {
    // Too many or unknown aliases are thrown as a plain error.
    return wrong(file, 'valid YAML', 'aliases that cannot be resolved');
  }
}

function checked(file: string, data: unknown, format: string): FileContent {
  if (data === null || data === undefined) return { data: {} };
  return isPlain(data) ? { data } : wrong(file, `${format} with named values at its top`, 'something else');
}

function wrong(file: string, expected: string, received: string): FileContent {
  return { issue: { field: file, expected, received, remedy: `Correct the file ${file}.` } };
}

function place(text: string, position: number): string {
  const before = text.slice(0, position).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
