/** What one part of the program does when the process ends. Every function is optional. */
export interface ProcessHook {
  /** Name of the part, for warnings. */
  readonly name: string;
  /** Refuse new work. First phase after SIGTERM or SIGINT. */
  readonly stopTaking?: (() => Promise<void> | void) | undefined;
  /** Finish accepted work. Second phase. */
  readonly drain?: (() => Promise<void> | void) | undefined;
  /** Write what is buffered. Third phase. */
  readonly flush?: (() => Promise<void> | void) | undefined;
  /**
   * Finish what is under way when the process has nothing left to do: at `beforeExit`. The process stays until the promise
   * settles or `graceMs` is over; after that it is not called again. `undefined` says that there is nothing to finish.
   */
  readonly naturalEnd?: (() => Promise<void> | undefined) | undefined;
  /**
   * Write what is buffered before it returns: at `exit`, at an uncaught error, and before the signal is raised again. It
   * may be called more than once, and never asynchronously.
   */
  readonly writeNow?: (() => void) | undefined;
  /** Milliseconds that the three phases together may take on behalf of this part; the longest of all parts counts. Default 10,000. */
  readonly graceMs?: number | undefined;
}

/** The one place in a process where parts say what they do when it ends. */
export interface ProcessHookCoordinator {
  /** Version of this object; copies of this package share the first one that was made. */
  readonly version: 1;
  /** Adds a part; the function that comes back takes it away. Handlers of the process exist only while there are parts. */
  register(hook: ProcessHook): () => void;
}

const place = Symbol.for('mnops.process-hooks');
const signals = ['SIGTERM', 'SIGINT'] as const;
const defaultGraceMs = 10_000;

/**
 * The coordinator of this process, shared by every copy of every package.
 *
 * After SIGTERM or SIGINT it runs the phases of all parts, each phase for all parts at once, then every `writeNow`, and
 * raises the signal again, so that the process ends as if nobody had listened; where the program listens to the signal
 * itself, also with `once`, the end is left to it, and `writeNow` still runs at its exit. A second signal, or the end of the grace time, cuts the phases short.
 */
export function processHooks(): ProcessHookCoordinator {
  const shared = globalThis as { [place]?: ProcessHookCoordinator };
  shared[place] ??= makeCoordinator();
  return shared[place];
}

function makeCoordinator(): ProcessHookCoordinator {
  const hooks = new Set<ProcessHook>();
  /** Parts that did not finish at the natural end. */
  const outOfTime = new WeakSet<ProcessHook>();
  let ending = false;
  let raised = false;
  /** The program listens to the signal itself, even if only once: the end is its own matter. */
  let programEnds = false;

  function writeAll(): void {
    for (const { name, writeNow } of hooks) {
      try {
        writeNow?.();
      } catch (error) {
        report(name, 'writeNow', error);
      }
    }
  }

  /** Whatever the hooks do makes the process come here again, until none of them has anything left. */
  function onNaturalEnd(): void {
    for (const hook of hooks) {
      if (outOfTime.has(hook)) continue;
      try {
        const finishing = hook.naturalEnd?.();
        if (finishing !== undefined) stayFor(hook, finishing);
      } catch (error) {
        report(hook.name, 'naturalEnd', error);
      }
    }
  }

  function stayFor(hook: ProcessHook, finishing: Promise<void>): void {
    const timer = setTimeout(() => outOfTime.add(hook), hook.graceMs ?? defaultGraceMs);
    finishing
      .catch((error: unknown) => {
        outOfTime.add(hook);
        report(hook.name, 'naturalEnd', error);
      })
      .finally(() => clearTimeout(timer));
  }

  function onSignal(signal: NodeJS.Signals): void {
    programEnds ||= process.listenerCount(signal) > 1;
    if (ending) {
      raiseAgain(signal);
      return;
    }
    ending = true;
    runPhases([...hooks]).then(() => raiseAgain(signal));
  }

  function raiseAgain(signal: NodeJS.Signals): void {
    if (raised) return;
    raised = true;
    writeAll();
    removeSignals();
    if (programEnds || process.listenerCount(signal) > 0) {
      // The program may say more until it exits, so what is written at the exit stays.
      if (hooks.size === 0) removeWriting();
      return;
    }
    removeWriting();
    process.kill(process.pid, signal);
  }

  function install(): void {
    remove();
    // First, so that listeners of the program are seen that hear one signal only, and are gone once they did.
    if (!raised) for (const signal of signals) process.prependListener(signal, onSignal);
    process.on('exit', writeAll);
    process.on('uncaughtExceptionMonitor', writeAll);
  }

  /** Only where a part has something to do there: the handler is seen by the program. */
  function watchNaturalEnd(): void {
    process.removeListener('beforeExit', onNaturalEnd);
    if ([...hooks].some(({ naturalEnd }) => naturalEnd !== undefined)) process.on('beforeExit', onNaturalEnd);
  }

  function removeSignals(): void {
    for (const signal of signals) process.removeListener(signal, onSignal);
  }

  function removeWriting(): void {
    process.removeListener('exit', writeAll);
    process.removeListener('uncaughtExceptionMonitor', writeAll);
  }

  function remove(): void {
    removeSignals();
    removeWriting();
  }

  return {
    version: 1,
    register(hook) {
      // An entry of its own, so that the same hook given twice is two.
      const entry = { ...hook };
      if (hooks.size === 0) install();
      hooks.add(entry);
      watchNaturalEnd();
      return () => {
        if (!hooks.delete(entry)) return;
        watchNaturalEnd();
        if (hooks.size > 0) return;
        // While the phases run, the signal has still to be raised again.
        if (ending && !raised) return;
        remove();
      };
    },
  };
}

async function runPhases(hooks: readonly ProcessHook[]): Promise<void> {
  const graceMs = Math.max(0, ...hooks.map((hook) => hook.graceMs ?? defaultGraceMs));
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs);
  });
  await Promise.race([over, allPhases(hooks)]);
  clearTimeout(timer);
}

async function allPhases(hooks: readonly ProcessHook[]): Promise<void> {
  for (const phase of ['stopTaking', 'drain', 'flush'] as const) {
    await Promise.all(
      hooks.map(async (hook) => {
        try {
          await hook[phase]?.();
        } catch (error) {
          report(hook.name, phase, error);
        }
      }),
    );
  }
}

function report(name: string, phase: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : 'unknown reason';
  // A warning is emitted in a later turn, which may not come any more.
  process.stderr.write(`mnops: ${phase} of ${name} failed: ${reason}\n`);
}
