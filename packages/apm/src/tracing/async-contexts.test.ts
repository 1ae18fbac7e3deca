import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { type ContextManager, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { describe, expect, it } from 'vitest';
import { AsyncContexts } from './async-contexts.js';

const key = createContextKey('name');
const named = (name: string) => ROOT_CONTEXT.setValue(key, name);

// OpenTelemetry's own is the second opinion: whatever holds here holds there too.
describe.each([
  ['AsyncContexts', (): ContextManager => new AsyncContexts(ROOT_CONTEXT)],
  ['AsyncLocalStorageContextManager', (): ContextManager => new AsyncLocalStorageContextManager().enable()],
])('%s', (_, make) => {
  const contexts = make();
  const active = (): unknown => contexts.active().getValue(key);

  it('is the root context where none is active, and after it was disabled', () => {
    expect(contexts.active()).toBe(ROOT_CONTEXT);
    const other = make();
    other.with(named('a'), () => other.disable());
    expect(other.active()).toBe(ROOT_CONTEXT);
    expect(other.with(named('b'), () => other.active().getValue(key))).toBe('b');
  });

  it('keeps a context through calls within calls, promises, timers and throws', async () => {
    const seen = await contexts.with(named('outer'), async () => {
      const inner = contexts.with(named('inner'), async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return active();
      });
      expect(() =>
        contexts.with(named('thrown'), () => {
          throw new Error('out');
        }),
      ).toThrow('out');
      return [active(), await inner, active()];
    });
    expect(seen).toEqual(['outer', 'inner', 'outer']);
    expect(active()).toBeUndefined();
  });

  it('hands over this, arguments and the result', () => {
    const target = { base: 1 };
    const add = function (this: typeof target, ...rest: number[]): number {
      return rest.reduce((total, value) => total + value, this.base);
    };
    expect(contexts.with(named('a'), add, target, 2, 3)).toBe(6);
    const bound = contexts.bind(named('b'), function (this: typeof target, first: number, second: number) {
      return [this.base, first, second, active()];
    });
    expect(bound.call(target, 2, 3)).toEqual([1, 2, 3, 'b']);
    expect(bound).toHaveLength(2);
  });

  it('leaves what cannot be bound as it is', () => {
    const plain = { a: 1 };
    expect(contexts.bind(named('a'), plain)).toBe(plain);
    expect(contexts.bind(named('a'), undefined)).toBeUndefined();
  });

  it('runs the listeners of a bound emitter in its first context', () => {
    const emitter = new EventEmitter();
    const seen: unknown[] = [];
    emitter.on('event', () => seen.push(['before', active()]));
    expect(contexts.bind(named('first'), emitter)).toBe(emitter);
    contexts.bind(named('second'), emitter);
    emitter.on('event', (value: number) => seen.push(['on', active(), value]));
    emitter.addListener('event', () => seen.push(['addListener', active()]));
    emitter.once('event', (value: number) => seen.push(['once', active(), value]));
    emitter.prependListener('event', () => seen.push(['prepend', active()]));
    emitter.prependOnceListener('event', () => seen.push(['prependOnce', active()]));
    contexts.with(named('emitting'), () => emitter.emit('event', 7));
    expect(seen).toEqual([
      ['prependOnce', 'first'],
      ['prepend', 'first'],
      ['before', 'emitting'],
      ['on', 'first', 7],
      ['addListener', 'first'],
      ['once', 'first', 7],
    ]);
    emitter.emit('event', 8);
    expect(seen.slice(6).map((row) => (row as unknown[])[0])).toEqual(['prepend', 'before', 'on', 'addListener']);
  });

  it.each(['on', 'addListener', 'prependListener', 'once', 'prependOnceListener'] as const)(
    'removes a listener that %s added to a bound emitter',
    (method) => {
      const emitter = contexts.bind(named('a'), new EventEmitter());
      let calls = 0;
      const listener = (): void => {
        calls += 1;
      };
      emitter[method]('event', listener);
      expect(emitter.listenerCount('event')).toBe(1);
      emitter.removeListener('event', listener);
      expect(emitter.listenerCount('event')).toBe(0);
      emitter[method]('event', listener);
      emitter.off('event', listener);
      emitter[method]('event', listener);
      emitter.removeAllListeners('event');
      emitter.emit('event');
      expect(calls).toBe(0);
    },
  );

  it('keeps a bound stream and the promises on it working', async () => {
    const stream = contexts.bind(named('stream'), new PassThrough());
    const chunks: unknown[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push([String(chunk), active()]));
    stream.end('text');
    await once(stream, 'end');
    expect(chunks).toEqual([['text', 'stream']]);
  });

  it('lets an emitter refuse what is no listener', () => {
    const emitter = contexts.bind(named('a'), new EventEmitter());
    expect(() => emitter.on('event', undefined as unknown as () => void)).toThrow();
  });
});

describe('AsyncContexts', () => {
  it('shows the listeners of a bound emitter as they were given', () => {
    const emitter = new AsyncContexts(ROOT_CONTEXT).bind(named('a'), new EventEmitter());
    const listener = (): void => undefined;
    emitter.on('event', listener);
    emitter.once('event', listener);
    expect(emitter.listeners('event')).toEqual([listener, listener]);
  });
});
