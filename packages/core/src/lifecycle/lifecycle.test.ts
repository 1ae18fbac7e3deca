import { describe, expect, it } from 'vitest';
import type { HostStatus } from '../spi/base.js';
import { disposables } from './disposables.js';
import { eventHub } from './event-hub.js';
import { Lifecycle } from './lifecycle.js';

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('Lifecycle', () => {
  it('starts and stops once for any number of callers, and drains, aborts, closes in this order', async () => {
    const steps: string[] = [];
    const seen: HostStatus[] = [];
    const life: Lifecycle = new Lifecycle({
      name: 'host',
      start: async () => void steps.push('start'),
      drain: async () => void steps.push(`drain ${life.signal.aborted}`),
      close: () => void steps.push(`close ${life.signal.aborted}`),
      onStatus: (status) => seen.push(status),
    });
    await Promise.all([life.start(), life.start()]);
    await life.start();
    expect(life.status).toBe('ready');
    await Promise.all([life.stop(), life.stop()]);
    await life.stop();
    expect(steps).toEqual(['start', 'drain false', 'close true']);
    expect(seen).toEqual(['starting', 'ready', 'stopping', 'stopped']);
    expect(() => life.assertUsable()).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CLOSED' }));
    await expect(life.start()).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
  });

  it('is failed after a failed start, with the reason, and may be started again', async () => {
    let broken = true;
    const life = new Lifecycle({
      name: 'host',
      start: async () => {
        if (broken) throw new Error('no disk');
      },
    });
    await expect(life.start()).rejects.toThrow('no disk');
    expect(life.status).toBe('failed');
    expect(life.reasons).toEqual(['The start failed: no disk']);
    broken = false;
    await life.start();
    expect([life.status, life.reasons]).toEqual(['ready', []]);
    await life.stop();
  });

  it('aborts a start that is under way when it is stopped', async () => {
    const life = new Lifecycle({
      name: 'host',
      start: (call) =>
        new Promise((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason))),
    });
    const starting = life.start();
    await life.stop();
    await expect(starting).rejects.toMatchObject({ code: 'MNOPS_CORE_ABORTED' });
    expect(life.status).toBe('stopped');
  });

  it('cuts work off when the grace time is over', async () => {
    const life = new Lifecycle({ name: 'host', drain: () => new Promise(() => undefined) });
    await life.start();
    await life.stop({ graceMs: 1 });
    expect(life.status).toBe('stopped');
    expect(life.signal.aborted).toBe(true);
  });

  it('ends only its own wait when a later caller gives up', async () => {
    const gate = deferred();
    const life = new Lifecycle({ name: 'host', start: () => gate.promise });
    const first = life.start();
    const gone = new AbortController();
    const second = life.start({ signal: gone.signal });
    gone.abort(new Error('gave up'));
    await expect(second).rejects.toThrow('gave up');
    gate.resolve();
    await first;
    expect(life.status).toBe('ready');
    await life.stop();
  });

  it('is degraded while it has a reason', async () => {
    const life = new Lifecycle({ name: 'host' });
    await life.start();
    life.degrade('disk is slow');
    life.degrade('disk is slow');
    expect([life.status, life.reasons]).toEqual(['degraded', ['disk is slow']]);
    await life.start();
    life.recover('disk is slow');
    expect(life.status).toBe('ready');
    await life.stop();
  });

  it('is stopped even if close fails, which the caller learns', async () => {
    const life = new Lifecycle({
      name: 'host',
      close: () => {
        throw new Error('stuck');
      },
    });
    await expect(life.stop()).rejects.toThrow('stuck');
    expect(life.status).toBe('stopped');
  });
});

describe('eventHub', () => {
  it('calls listeners in order until they are removed, whatever others throw', async () => {
    const failures: string[] = [];
    const hub = eventHub<{ 'thing:made': number }>(
      { 'thing:made': true },
      { onError: (event, error) => failures.push(`${event} ${(error as Error).message}`) },
    );
    const seen: string[] = [];
    hub.on('thing:made', () => {
      throw new Error('one');
    });
    hub.on('thing:made', async () => {
      throw new Error('two');
    });
    const off = hub.on('thing:made', (value) => void seen.push(`a${value}`));
    hub.on('thing:made', (value) => void seen.push(`b${value}`));
    hub.emit('thing:made', 1);
    off();
    off();
    hub.emit('thing:made', 2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(['a1', 'b1', 'b2']);
    expect(failures.sort()).toEqual(['thing:made one', 'thing:made one', 'thing:made two', 'thing:made two']);
  });

  it('keeps the same listener apart when it is added twice, and has a limit', () => {
    const hub = eventHub<{ a: undefined }>({ a: true }, { maxListeners: 2 });
    let calls = 0;
    const listener = (): void => void calls++;
    const off = hub.on('a', listener);
    hub.on('a', listener);
    expect(() => hub.on('a', listener)).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_TOO_LARGE' }));
    off();
    hub.emit('a', undefined);
    expect(calls).toBe(1);
    expect(hub.count('a')).toBe(1);
  });

  it('refuses a name that it does not know, with the nearest and all', () => {
    const hub = eventHub<{ 'thing:made': number; 'thing:lost': string }>({ 'thing:made': true, 'thing:lost': true });
    const on = hub.on as unknown as (event: unknown, listener: unknown) => void;
    const message = (event: unknown, listener: unknown = () => undefined): unknown => {
      try {
        on(event, listener);
      } catch (error) {
        expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID', details: { issues: [expect.anything()] } });
        return (error as Error).message;
      }
      return 'taken';
    };
    const known = 'Known events: thing:made, thing:lost.';
    const expected = 'Invalid options of on: event: expected the name of an event, received';
    expect(message('thingMade')).toBe(`${expected} 'thingMade'. Did you mean 'thing:made'? ${known}`);
    expect(message('thing:losd')).toBe(`${expected} 'thing:losd'. Did you mean 'thing:lost'? ${known}`);
    expect(message('zebra')).toBe(`${expected} 'zebra'. ${known}`);
    expect(message('toString')).toBe(`${expected} 'toString'. ${known}`);
    expect(message('x'.repeat(1_000))).toHaveLength(expected.length + 69 + known.length);
    for (const event of [undefined, 3, Symbol('x')])
      expect(message(event)).toContain(`received ${typeof event}. ${known}`);
    expect(message('thing:made', 'x')).toBe(
      'Invalid options of on: listener: expected a function, received string. Pass a function that takes the event.',
    );
    expect(message('thing:made')).toBe('taken');
  });

  it('warns with what a listener threw, where, and the cause, but quotes no credential', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const thrown = new Error('POST https://user:c4nary@host/hook failed');
    const hub = eventHub<{ a: undefined }>({ a: true });
    hub.on('a', () => {
      throw thrown;
    });
    hub.emit('a', undefined);
    const warning = await warned;
    expect(warning).toMatchObject({ name: 'Warning', code: 'MNOPS_LISTENER_FAILED', cause: thrown });
    expect(warning.message).toBe('A listener for a failed: POST https://[removed]@host/hook failed');
    expect((warning as { detail?: unknown }).detail).toContain('lifecycle.test.ts');
  });
});

describe('disposables', () => {
  it('releases in reverse order, all of it, and gathers failures', async () => {
    const order: string[] = [];
    const bag = disposables();
    const resource = bag.add({ [Symbol.dispose]: () => void order.push('sync') });
    expect(resource).toBeDefined();
    bag.add({ [Symbol.asyncDispose]: async () => void order.push('async') });
    bag.defer(() => Promise.reject(new Error('x')));
    await expect(bag.dispose()).rejects.toThrow('x');
    expect(order).toEqual(['async', 'sync']);
    await bag[Symbol.asyncDispose]();
    expect(order).toHaveLength(2);
    bag.defer(() => Promise.reject(new Error('1')));
    bag.defer(() => Promise.reject(new Error('2')));
    await expect(bag.dispose()).rejects.toBeInstanceOf(AggregateError);
  });
});
