/** Hashes by sequence, 32 bytes each: a chain may have millions of entries. */
export class HashList {
  readonly #runs: { readonly first: number; readonly index: number }[] = [];
  #bytes: Buffer = Buffer.alloc(32 * 1024);
  #count = 0;
  #next = -1;

  add(sequence: number, hash: string): void {
    if (sequence !== this.#next) this.#runs.push({ first: sequence, index: this.#count });
    this.#next = sequence + 1;
    if (this.#bytes.length < (this.#count + 1) * 32) this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2);
    this.#bytes.write(hash, this.#count * 32, 32, 'hex');
    this.#count += 1;
  }

  get(sequence: number): string | undefined {
    const at = this.#runs.findLastIndex((run) => run.first <= sequence);
    const run = this.#runs[at];
    if (run === undefined) return undefined;
    const index = run.index + sequence - run.first;
    if (index >= (this.#runs[at + 1]?.index ?? this.#count)) return undefined;
    return this.#bytes.toString('hex', index * 32, index * 32 + 32);
  }
}
