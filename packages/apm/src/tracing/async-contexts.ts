import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import type { Context, ContextManager } from '@opentelemetry/api';

type Listener = (this: unknown, ...args: unknown[]) => unknown;
type Add = (this: EventEmitter, event: string | symbol, listener: Listener) => EventEmitter;

const adding = ['on', 'addListener', 'prependListener'];
/** Methods that add a listener for one event, each with the one that adds it for all. */
const addingOnce = { once: 'on', prependOnceListener: 'prependListener' };

/** Keeps the active context of OpenTelemetry through calls, promises and timers. */
export class AsyncContexts implements ContextManager {
  /** Where the active context is kept; empty where none is active. */
  readonly storage: AsyncLocalStorage<Context> = new AsyncLocalStorage();
  readonly #root: Context;
  readonly #boundEmitters = new WeakSet<object>();
  readonly #boundListeners = new WeakSet<object>();

  /** @param root - The context where none is active. */
  constructor(root: Context) {
    this.#root = root;
  }

  active(): Context {
    return this.storage.getStore() ?? this.#root;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    if (thisArg === undefined || thisArg === null) return this.storage.run(context, run, ...args);
    return this.storage.run(context, () => run.apply(thisArg, args));
  }

  /**
   * @returns A function that runs in the context; of an emitter itself, of which every listener that is added from now on runs
   *   in the context. An emitter keeps the context that it was bound to first. Anything else comes back as it is.
   */
  bind<T>(context: Context, target: T): T {
    if (target instanceof EventEmitter) this.#bindEmitter(context, target);
    else if (typeof target === 'function') return this.#bound(context, target as unknown as Listener) as T;
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.storage.disable();
    return this;
  }

  #bound(context: Context, target: Listener): Listener {
    const { storage } = this;
    const bound = function (this: unknown, ...args: unknown[]): unknown {
      return storage.run(context, () => target.apply(this, args));
    };
    // Express and mocha, for two, tell kinds of callbacks by the number of their arguments.
    Object.defineProperty(bound, 'length', { value: target.length, configurable: true });
    this.#boundListeners.add(bound);
    return bound;
  }

  #bindEmitter(context: Context, emitter: EventEmitter): void {
    if (this.#boundEmitters.has(emitter)) return;
    this.#boundEmitters.add(emitter);
    const methods = emitter as unknown as Record<string, Add | undefined>;
    const originals: Record<string, Add | undefined> = {};
    for (const name of adding) {
      const original = methods[name];
      if (original === undefined) continue;
      originals[name] = original;
      methods[name] = this.#adding(original, (listener) => this.#bound(context, listener));
    }
    for (const [name, base] of Object.entries(addingOnce)) {
      const original = originals[base];
      if (methods[name] === undefined || original === undefined) continue;
      methods[name] = this.#adding(original, (listener, event) => {
        const bound = this.#bound(context, function (this: unknown, ...args) {
          emitter.removeListener(event, bound);
          return listener.apply(this, args);
        });
        return bound;
      });
    }
  }

  /** A method that adds what is made of a listener. Emitters find it by the original too, as they find those of `once`. */
  #adding(original: Add, made: (listener: Listener, event: string | symbol) => Listener): Add {
    const boundListeners = this.#boundListeners;
    return function (this: EventEmitter, event, listener) {
      // Some methods call others of the same emitter. What is no function is for the emitter to refuse.
      if (typeof listener !== 'function' || boundListeners.has(listener)) return original.call(this, event, listener);
      return original.call(this, event, Object.assign(made(listener, event), { listener }));
    };
  }
}
