/** Keeps long synchronous work friendly to the event loop. */
export interface Pacer {
  /** Whether the work has run for a whole slice; cheap enough to ask for every file. */
  due(): boolean;
  /** Lets everything else run, then goes on; rejects with the signal's reason once it is aborted. */
  pause(): Promise<void>;
}

const sliceMs = 8;

/** @param onPause - Called at each pause, for progress. */
export function pacer(signal: AbortSignal, onPause: () => void = () => undefined): Pacer {
  let sliceEndsAt = performance.now() + sliceMs;
  return {
    due: () => performance.now() >= sliceEndsAt,
    async pause() {
      onPause();
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      sliceEndsAt = performance.now() + sliceMs;
    },
  };
}
