import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { codes } from '../codes.js';
import { coreError, storageError } from './core-error.js';
import { codeOf, errorsOf, MnopsError, UnsupportedError } from './mnops-error.js';

describe('MnopsError', () => {
  it('carries its facts, and defaults to not retryable', () => {
    const cause = new Error('below');
    const error = new MnopsError('MNOPS_TEST_X', 'text', {
      retryAfterMs: 5,
      provider: 'p',
      operation: 'o',
      details: { a: 1 },
      cause,
    });
    expect(error).toMatchObject({
      code: 'MNOPS_TEST_X',
      message: 'text',
      retryable: false,
      retryAfterMs: 5,
      provider: 'p',
      details: { a: 1 },
    });
    expect([error.name, error.cause, error instanceof Error]).toEqual(['MnopsError', cause, true]);
    expect('cause' in new MnopsError('MNOPS_TEST_X', 'text')).toBe(false);
  });

  it('is recognised by its brand, whichever copy made it', () => {
    class Copy extends Error {
      readonly code = 'MNOPS_TEST_X';
      constructor() {
        super('of another copy');
        Object.defineProperty(this, Symbol.for('mnops.error'), { value: true });
      }
    }
    expect(MnopsError.is(new Copy())).toBe(true);
    expect(MnopsError.is(new Copy(), 'MNOPS_TEST_X')).toBe(true);
    expect(MnopsError.is(new Copy(), 'MNOPS_TEST_Y')).toBe(false);
    for (const other of [new Error('x'), null, undefined, 'MNOPS_TEST_X', { code: 'MNOPS_TEST_X' }])
      expect(MnopsError.is(other)).toBe(false);
  });

  it('becomes plain data without the fields of its cause or details', () => {
    const cause = Object.assign(new Error('below'), { config: 'c4nary' });
    const error = new MnopsError('MNOPS_TEST_X', 'text', { cause, remedy: 'Do y.', details: { value: 'c4nary' } });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'MnopsError',
      code: 'MNOPS_TEST_X',
      message: 'text',
      retryable: false,
      remedy: 'Do y.',
      cause: 'Error: below',
    });
    expect(inspect(error)).toContain('MNOPS_TEST_X');
  });
});

describe('errorsOf', () => {
  it('takes retryable and remedy from the table, unless told otherwise', () => {
    const fault = errorsOf({ MNOPS_TEST_BUSY: { retryable: true, meaning: 'Busy.', remedy: 'Wait.' } });
    expect(fault('MNOPS_TEST_BUSY', 'text')).toMatchObject({ retryable: true, remedy: 'Wait.' });
    expect(fault('MNOPS_TEST_BUSY', 'text', { retryable: false, remedy: 'Go.' })).toMatchObject({
      retryable: false,
      remedy: 'Go.',
    });
  });

  it('has a table of sentences', () => {
    for (const [code, { meaning, remedy }] of Object.entries(codes)) {
      expect(code).toMatch(/^MNOPS_CORE_[A-Z_]+$/);
      expect(`${meaning}|${remedy}`).toMatch(/^[A-Z].*\.\|[A-Z].*\.$/);
    }
  });
});

describe('ready errors', () => {
  it('name the file operation, its path and the reason, and are retryable when waiting may help', () => {
    const full = storageError('write', '/data/a', Object.assign(new Error('x'), { code: 'ENOSPC' }));
    expect(full).toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      message: 'Cannot write /data/a: ENOSPC.',
      retryable: true,
      details: { path: '/data/a', reason: 'ENOSPC' },
    });
    expect(storageError('open', '/data/a', { code: 'EACCES' }).retryable).toBe(false);
    expect(storageError('open', '/data/a', undefined).message).toBe('Cannot open /data/a: unknown reason.');
    expect(coreError('MNOPS_CORE_CLOSED', 'x').remedy).toBe(codes.MNOPS_CORE_CLOSED.remedy);
  });

  it('UnsupportedError has the shared code and its own name', () => {
    const error = new UnsupportedError('no stages', { provider: 'p' });
    expect(error).toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED', name: 'UnsupportedError', provider: 'p' });
    expect(MnopsError.is(error, 'MNOPS_CORE_UNSUPPORTED')).toBe(true);
    expect(error.remedy).toContain('provider');
  });

  it('codeOf finds codes of MNOps and of Node', () => {
    expect(codeOf(coreError('MNOPS_CORE_CLOSED', 'x'))).toBe('MNOPS_CORE_CLOSED');
    expect(codeOf(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe('ENOENT');
    expect([codeOf(new Error('x')), codeOf(undefined), codeOf('text'), codeOf({ code: 5 })]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
