/** Things to release together. */
export interface Disposables {
  /** Releases the resource with the rest; returns it. */
  add<T extends AsyncDisposable | Disposable>(resource: T): T;
  /** Runs the function with the rest. */
  defer(release: () => unknown): void;
  /** Releases everything, the last first, each once and even if another one fails; a second call does nothing. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a bag of things to release together; Node 20 has no `AsyncDisposableStack`.
 *
 * `dispose` rejects with the one failure, or with an `AggregateError` of several, after everything was tried.
 */
export function disposables(): Disposables {
  const releases: (() => unknown)[] = [];

  async function dispose(): Promise<void> {
    const failures: unknown[] = [];
    for (let release = releases.pop(); release !== undefined; release = releases.pop()) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} resources could not be released.`);
  }

  return {
    add(resource) {
      releases.push(() =>
        Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose](),
      );
      return resource;
    },
    defer: (release) => {
      releases.push(release);
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}
