import type { MnopsError } from '@mnops/core';
import { secretsError } from './codes.js';

/** Longest path, in bytes of UTF-8. */
export const maxPathBytes = 512;

// Controls, invisible formatting, line separators and lone surrogates make two paths look alike or break logs.
const forbidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\\*]/u;

/** What is wrong with a path, or `undefined` when it is in normal form. */
function pathProblem(path: unknown): { readonly expected: string; readonly received: string } | undefined {
  if (typeof path !== 'string') return { expected: 'text', received: path === null ? 'null' : typeof path };
  if (path === '') return { expected: 'at least one segment', received: 'empty text' };
  if (Buffer.byteLength(path) > maxPathBytes) {
    return { expected: `at most ${maxPathBytes} bytes`, received: `${Buffer.byteLength(path)} bytes` };
  }
  if (forbidden.test(path)) {
    return { expected: 'printable characters without \\ and *', received: 'a path with another character' };
  }
  if (path !== path.normalize('NFC')) return { expected: 'Unicode in form NFC', received: 'another form' };
  for (const segment of path.split('/')) {
    if (segment === '') return { expected: 'segments joined by one /', received: 'an empty segment' };
    if (segment === '.' || segment === '..' || segment === '+') {
      return { expected: 'named segments', received: `a segment ${segment}` };
    }
    if (segment !== segment.trim()) return { expected: 'segments without outer blanks', received: 'a blank at an end' };
  }
  return undefined;
}

/**
 * Passes when a path is in normal form: segments of printable characters joined by `/`, none of them empty, `.`, `..` or
 * `+`, no `*` and `\`, in Unicode form NFC, at most 512 bytes. Nothing is corrected: two ways to write one path would be
 * two ways around a rule.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_PATH_INVALID` with `details.expected` and `details.received`.
 */
export function assertPath(path: string): void {
  const problem = pathProblem(path);
  if (problem === undefined) return;
  throw invalid('path', problem.expected, problem.received);
}

/** Whether a text is a path in normal form. */
export function isPath(text: string): boolean {
  return pathProblem(text) === undefined;
}

/** Passes when a text can begin a path: empty, or a path in normal form that may end with `/`. */
export function assertPrefix(prefix: string): void {
  if (prefix === '') return;
  const whole = typeof prefix === 'string' && prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  const problem = pathProblem(whole);
  if (problem !== undefined) throw invalid('prefix', problem.expected, problem.received);
}

/** The error for a path that is in normal form, but whose name in a back end would be too long. */
export function pathNotStorable(expected: string, received: string): MnopsError {
  return secretsError(
    'MNOPS_SECRETS_PATH_INVALID',
    `The path cannot be stored: expected ${expected}, received ${received}.`,
    {
      remedy: 'Choose a shorter path, or one with fewer special characters.',
      details: { field: 'path', expected, received },
    },
  );
}

function invalid(field: string, expected: string, received: string): Error {
  return secretsError(
    'MNOPS_SECRETS_PATH_INVALID',
    `The ${field} is not in normal form: expected ${expected}, received ${received}.`,
    {
      details: { field, expected, received },
    },
  );
}
