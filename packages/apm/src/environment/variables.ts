/** Variables of the environment, and what was wrong with them. Values never enter a warning: they may be secrets. */
export class Variables {
  readonly warnings: string[] = [];
  readonly #reported = new Set<string>();
  readonly #source: Readonly<Record<string, string | undefined>>;

  constructor(source: Readonly<Record<string, string | undefined>>) {
    // Nothing is thrown for what is no environment, or for a variable that is no text.
    this.#source = typeof source === 'object' && source !== null ? source : {};
    if (this.#source !== source) this.warnings.push('The environment is no object with variables; it is ignored.');
  }

  /** Whether any of these is set to something. */
  has(...names: readonly string[]): boolean {
    return names.some((name) => this.text(name) !== undefined);
  }

  /** The first that is set; an empty one counts as unset. */
  text(...names: readonly string[]): string | undefined {
    return this.first(names)?.value;
  }

  /** The first that is set, with its name. */
  first(names: readonly string[]): { readonly name: string; readonly value: string } | undefined {
    for (const name of names) {
      const value = this.#textOf(name)?.trim();
      if (value !== undefined && value !== '') return { name, value };
    }
    return undefined;
  }

  /** True for `true` in any case. Anything else but `false` is a mistake and counts as false, as OpenTelemetry says. */
  flag(name: string): boolean {
    const text = this.text(name)?.toLowerCase();
    if (text !== undefined && text !== 'true' && text !== 'false')
      this.warn(name, 'is neither true nor false', 'Set one of them.');
    return text === 'true';
  }

  /** The first that holds a whole number of at least `least`. Others are warned of. */
  count(names: readonly string[], least = 1): number | undefined {
    return this.#number(names, `is no whole number of at least ${least}`, (value) => {
      return Number.isSafeInteger(value) && value >= least;
    });
  }

  /** The first that holds a number from 0 to 1. */
  share(...names: readonly string[]): number | undefined {
    return this.#number(names, 'is no number from 0 to 1', (value) => value >= 0 && value <= 1);
  }

  /** What the first that is set stands for, in any case of letters. */
  choice<T>(names: readonly string[], meanings: Readonly<Record<string, T>>): T | undefined {
    for (const name of names) {
      const text = this.text(name)?.toLowerCase();
      if (text === undefined) continue;
      if (Object.hasOwn(meanings, text)) return meanings[text];
      this.warn(name, `is none of ${Object.keys(meanings).join(', ')}`, 'Set one of them.');
    }
    return undefined;
  }

  /** Items between commas, in lower case, each once; `undefined` when unset. */
  list(...names: readonly string[]): { readonly name: string; readonly items: readonly string[] } | undefined {
    const found = this.first(names);
    if (found === undefined) return undefined;
    const items = found.value.split(',').map((item) => item.trim().toLowerCase());
    return { name: found.name, items: [...new Set(items.filter((item) => item !== ''))] };
  }

  /** `name=value` pairs between commas, percent-decoded. One that cannot be read costs the whole variable. */
  pairs(name: string): ReadonlyMap<string, string> {
    return this.#pairs(name, /,/, '=', decodeURIComponent);
  }

  /** `name:value` pairs between commas, semicolons or spaces, as vendors have them. */
  labels(name: string, separators: RegExp, between: ':' | '='): ReadonlyMap<string, string> {
    return this.#pairs(name, separators, between, (text) => text);
  }

  /** An `http:` or `https:` address without user and password. */
  address(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const text = this.text(name);
      if (text === undefined) continue;
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol)) {
        this.warn(name, 'is no http: or https: address', 'Begin it with http:// or https://.');
      } else if (url.username !== '' || url.password !== '') {
        this.warn(name, 'must hold no user and no password', 'Send them in a header.');
      } else return text;
    }
    return undefined;
  }

  /** Remembers what is wrong with a variable, and what to do. */
  warn(name: string, problem: string, remedy: string): void {
    this.say(`${name} ${problem}; it is ignored. ${remedy}`);
  }

  /** Remembers a warning, once: several options may come from one variable. */
  say(warning: string): void {
    if (!this.warnings.includes(warning)) this.warnings.push(warning);
  }

  #textOf(name: string): string | undefined {
    let value: unknown;
    try {
      value = this.#source[name];
    } catch {
      value = null;
    }
    if (value === undefined || typeof value === 'string') return value;
    if (!this.#reported.has(name)) this.warn(name, 'is no text', 'Give variables as texts, as process.env does.');
    this.#reported.add(name);
    return undefined;
  }

  #number(names: readonly string[], problem: string, fits: (value: number) => boolean): number | undefined {
    for (const name of names) {
      const text = this.text(name);
      if (text === undefined) continue;
      const value = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
      if (fits(value)) return value;
      this.warn(name, problem, 'Set one, or unset it.');
    }
    return undefined;
  }

  #pairs(name: string, separators: RegExp, between: string, decode: (text: string) => string): Map<string, string> {
    const pairs = new Map<string, string>();
    for (const part of (this.text(name) ?? '').split(separators)) {
      if (part.trim() === '') continue;
      const at = part.indexOf(between);
      try {
        const key = decode(part.slice(0, Math.max(0, at)).trim());
        if (key === '') throw new RangeError();
        pairs.set(key, decode(part.slice(at + 1).trim()));
      } catch {
        const pair = between === '=' ? 'name=value' : 'name:value';
        this.warn(name, `has an item that is no ${pair}`, `Write ${pair} for each, names and values percent-encoded.`);
        return new Map();
      }
    }
    return pairs;
  }
}

/** The options that are set: an option that is `undefined` would stand in the way of one that is added later. */
export function defined<T extends object>(options: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
