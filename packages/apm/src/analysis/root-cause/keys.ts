/** Makes one text of two, each pair once: joined texts are hashed anew at every look-up, these are not. */
export class PairKeys {
  readonly #known = new Map<string, Map<string, string>>();

  of(first: string, second: string): string {
    let row = this.#known.get(first);
    if (row === undefined) {
      row = new Map();
      this.#known.set(first, row);
    }
    let key = row.get(second);
    if (key === undefined) {
      key = JSON.stringify([first, second]);
      row.set(second, key);
    }
    return key;
  }
}
