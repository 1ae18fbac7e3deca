import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import { carryOperations, type OperationCarrier } from './carry-operations.js';
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

describe('carryOperations', () => {
  it('keeps what begin gave active through the run, and ends it with the fields and the code', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const carrier: OperationCarrier<string> = {
      storage,
      begin: ({ name, context: { ...before } }) => ({
        store: `${storage.getStore() ?? 'top'} > ${name}`,
        end: (after, failure) => seen.push([name, before, after, failure?.code]),
      }),
    };
    ends.push(carryOperations(carrier, { packages: ['secrets', 'dr'] }));
    const inner = await traced('mnops:dr:backup', { source: 's' }, async (context) => {
      await new Promise((resolve) => setImmediate(resolve));
      const stored = await traced('mnops:secrets:read', {}, async () => storage.getStore());
      context['outcome'] = 'done';
      return stored;
    });
    expect(inner).toBe('top > mnops:dr:backup > mnops:secrets:read');
    const failing = traced('mnops:dr:drill', {}, async () => {
      throw coreError('MNOPS_CORE_TIMEOUT', 'too late');
    });
    await expect(failing).rejects.toThrow('too late');
    expect(storage.getStore()).toBeUndefined();
    expect(seen.map((one) => (one as unknown[])[3])).toEqual([undefined, undefined, 'MNOPS_CORE_TIMEOUT']);
    expect(seen[1]).toMatchObject(['mnops:dr:backup', { source: 's' }, { source: 's', outcome: 'done' }, undefined]);
  });

  it('leaves the active store alone where begin declines, throws, or has no storage', async () => {
    const storage = new AsyncLocalStorage<string>();
    let begun = 0;
    const decline: OperationCarrier<string> = { storage, begin: () => undefined };
    const broken = (): never => {
      begun += 1;
      throw new Error('observer');
    };
    ends.push(carryOperations(decline), carryOperations<string>({ begin: broken }));
    const read = (): Promise<unknown> => traced('mnops:secrets:read', {}, async () => storage.getStore());
    expect(await storage.run('outer', read)).toBe('outer');
    expect(await storage.run('outer', () => Promise.all([read(), read()]))).toEqual(['outer', 'outer']);
    expect(begun).toBe(3);
    for (const end of ends.splice(0)) end();
    expect(await storage.run('outer', read)).toBe('outer');
    expect(begun).toBe(3);
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
