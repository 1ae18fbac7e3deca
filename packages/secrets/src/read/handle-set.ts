import { coreError } from '@mnops/core';
import { type HandleContext, LiveHandle, type SecretHandle } from './handle.js';

const maxHandles = 10_000;

/** The open handles of one manager. */
export class HandleSet {
  readonly #handles = new Map<string, Set<LiveHandle>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** A new handle, which begins to read at once. */
  open(context: HandleContext, actor: string, path: string): SecretHandle {
    if (this.#size >= maxHandles) {
      throw coreError('MNOPS_CORE_TOO_LARGE', `More than ${maxHandles} handles are open.`, {
        remedy: 'Keep one handle per secret, and close those that are not needed.',
      });
    }
    const handle = new LiveHandle(context, actor, path, (closed) => this.#remove(closed));
    const set = this.#handles.get(path) ?? new Set();
    this.#handles.set(path, set.add(handle));
    this.#size += 1;
    return handle;
  }

  #remove(handle: LiveHandle): void {
    const set = this.#handles.get(handle.path);
    if (set?.delete(handle) !== true) return;
    this.#size -= 1;
    if (set.size === 0) this.#handles.delete(handle.path);
  }

  /** Lets handles read anew; without a path all of them. Failures stay with the handles. */
  async refresh(path: string | undefined): Promise<void> {
    const sets = path === undefined ? [...this.#handles.values()] : [this.#handles.get(path) ?? []];
    await Promise.all(sets.flatMap((set) => [...set].map((handle) => handle.refresh())));
  }

  close(): void {
    for (const set of [...this.#handles.values()]) for (const handle of [...set]) handle.close();
  }
}
