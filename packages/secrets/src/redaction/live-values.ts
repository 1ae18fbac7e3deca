import type { SecretValue } from '@mnops/core/spi';

const maxValues = 4_096;

/** Values that this manager has read or written, the last 4,096: what a redactor looks for. */
export class LiveValues {
  readonly #values = new Map<string, SecretValue>();
  #revision = 0;

  /** Grows with each value that is added. */
  get revision(): number {
    return this.#revision;
  }

  add(value: SecretValue): void {
    const key = `${value.path}\0${value.version}`;
    const known = this.#values.get(key);
    this.#values.delete(key);
    this.#values.set(key, value);
    if (known?.equals(value.bytes()) !== true) this.#revision += 1;
    if (this.#values.size > maxValues) {
      const [oldest] = this.#values.keys();
      if (oldest !== undefined) this.#values.delete(oldest);
    }
  }

  clear(): void {
    this.#values.clear();
    this.#revision += 1;
  }

  [Symbol.iterator](): Iterator<SecretValue> {
    return this.#values.values();
  }
}
