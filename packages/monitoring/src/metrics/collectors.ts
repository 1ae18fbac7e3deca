type Read = (call: { readonly signal: AbortSignal }) => void | Promise<void>;

/** Functions that run before each scrape. Scrapes at the same time share one run. */
export class Collectors {
  readonly #reads = new Map<object, { name: string; read: Read }>();
  readonly #failed: (collector: string) => void;
  #running: Promise<void> | undefined;

  constructor(failed: (collector: string) => void) {
    this.#failed = failed;
  }

  add(name: string, read: Read): { remove(): void } {
    const key = {};
    this.#reads.set(key, { name, read });
    return { remove: () => void this.#reads.delete(key) };
  }

  async run(timeoutMs: number): Promise<void> {
    if (this.#reads.size === 0) return;
    this.#running ??= this.#runAll(timeoutMs).finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #runAll(timeoutMs: number): Promise<void> {
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => {
        controller.abort();
        resolve('late');
      }, timeoutMs);
    });
    await Promise.all(
      [...this.#reads.values()].map(async ({ name, read }) => {
        try {
          const work = Promise.resolve(read({ signal: controller.signal }));
          work.catch(() => undefined);
          if ((await Promise.race([work, late])) === 'late') this.#failed(name);
        } catch {
          this.#failed(name);
        }
      }),
    );
    clearTimeout(timer);
  }
}
