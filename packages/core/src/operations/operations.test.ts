import { tracingChannel } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import { operationCatalogue } from './catalogue/index.js';
import { type OperationEvent, onOperation } from './on-operation.js';
import { traced } from './traced.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function listen(packages?: readonly string[]): OperationEvent[] {
  const events: OperationEvent[] = [];
  ends.push(onOperation((event) => events.push(event), { packages }));
  return events;
}

describe('traced', () => {
  it('returns the result and passes failures on, with and without listeners', async () => {
    const run = (): Promise<number> => traced('mnops:secrets:read', { provider: 'p' }, async () => 7);
    const fail = (): Promise<number> =>
      traced('mnops:secrets:read', {}, async () => {
        throw coreError('MNOPS_CORE_NOT_FOUND', 'none');
      });
    expect(await run()).toBe(7);
    await expect(fail()).rejects.toThrow('none');
    listen();
    expect(await run()).toBe(7);
    await expect(fail()).rejects.toThrow('none');
  });

  it('tells start and end with duration, fields added meanwhile, and the code of a failure', async () => {
    const events = listen();
    await traced('mnops:secrets:read', { provider: 'p' }, async (context) => {
      context['cached'] = true;
    });
    const failing = traced('mnops:secrets:write', {}, async () => {
      throw coreError('MNOPS_CORE_THROTTLED', 'slow down');
    });
    await expect(failing).rejects.toThrow();
    expect(events).toMatchObject([
      { name: 'mnops:secrets:read', package: 'secrets', operation: 'read', phase: 'start', context: { provider: 'p' } },
      { phase: 'end', context: { provider: 'p', cached: true }, durationMs: expect.any(Number) },
      { operation: 'write', phase: 'start' },
      { operation: 'write', phase: 'error', code: 'MNOPS_CORE_THROTTLED' },
    ]);
  });

  it('turns a synchronous throw into one failed run', async () => {
    const events = listen();
    const thrown = traced('mnops:dr:drill', {}, () => {
      throw new TypeError('at once');
    });
    await expect(thrown).rejects.toThrow('at once');
    expect(events.map((event) => [event.phase, event.code])).toEqual([
      ['start', undefined],
      ['error', 'TypeError'],
    ]);
  });

  it('never puts the result on the published context', async () => {
    const seen: unknown[] = [];
    const channel = tracingChannel('mnops:secrets:read');
    const see = (message: unknown): void => {
      seen.push(JSON.stringify(message));
    };
    const handlers = { start: see, end: see, asyncStart: see, asyncEnd: see, error: see };
    channel.subscribe(handlers);
    ends.push(() => channel.unsubscribe(handlers));
    await traced('mnops:secrets:read', { provider: 'p' }, async () => 'the-secret');
    expect(seen).toHaveLength(4);
    expect(seen.join()).not.toContain('the-secret');
  });

  it('carries a store that a listener binds to the start into the run', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const storage = new AsyncLocalStorage<string>();
    const channel = tracingChannel('mnops:apm:ingest');
    channel.start.bindStore(storage, () => 'span');
    ends.push(() => channel.start.unbindStore(storage));
    expect(await traced('mnops:apm:ingest', {}, async () => storage.getStore())).toBe('span');
    expect(storage.getStore()).toBeUndefined();
  });
});

describe('onOperation', () => {
  it('listens to the packages asked for, until it is ended', async () => {
    const events = listen(['dr']);
    await traced('mnops:secrets:read', {}, async () => undefined);
    await traced('mnops:dr:backup', {}, async () => undefined);
    expect(events.map((event) => event.package)).toEqual(['dr', 'dr']);
    for (const end of ends.splice(0)) end();
    await traced('mnops:dr:backup', {}, async () => undefined);
    expect(events).toHaveLength(2);
  });
});

describe('operationCatalogue', () => {
  it('names each operation by its package, and takes labels from the fields', () => {
    for (const [name, entry] of Object.entries(operationCatalogue)) {
      expect(name).toMatch(/^mnops:(core|secrets|monitoring|logging|apm|orchestration|dr):[a-z]+(-[a-z]+)*$/);
      for (const label of entry.labelFields) expect(entry.fields, name).toContain(label);
      expect(new Set(entry.fields).size).toBe(entry.fields.length);
    }
  });
});
