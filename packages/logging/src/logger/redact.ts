import { configError } from '@mnops/core/config';

/** Ready-made patterns for values that must not be written. */
export type RedactionPattern = 'email' | 'card' | 'bearer' | 'aws-key';

/** What must never be written. */
export interface RedactOptions {
  /**
   * Paths in the attributes, such as `user.card`, `headers.*`, `items[*].token`, `**.password`. `*` stands for one key or
   * index, `**` for any number of them. An attribute whose key itself holds dots is matched as if it were nested.
   */
  readonly paths?: readonly string[] | undefined;
  /** Patterns that are replaced wherever they stand in a message or a text value. A RegExp must run in linear time. */
  readonly patterns?: readonly (RegExp | RedactionPattern)[] | undefined;
  /** Text that stands in place of what was removed. Default `[Redacted]`. */
  readonly replaceWith?: string | undefined;
}

/** One state of the path automaton: what may still match below the value reached so far. */
export interface RedactState {
  /** Whether the value reached is to be removed. */
  readonly matched: boolean;
  /** The state below `key`, or `undefined` when no path can match there any more. */
  next(key: string): RedactState | undefined;
}

/** Compiled redaction. */
export interface Redactor {
  /** State at the root of the attributes; `undefined` without paths. */
  readonly root: RedactState | undefined;
  /** Replaces patterns in a text; `undefined` without patterns. */
  readonly clean: ((text: string) => string) | undefined;
  readonly replacement: string;
}

// Bounded quantifiers keep each of them linear in the length of the text.
const readyPatterns: Readonly<Record<RedactionPattern, RegExp>> = {
  email: /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g,
  card: /(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)/g,
  bearer: /\b[Bb]earer\s{1,8}[\w.~+/-]{1,4096}={0,2}/g,
  'aws-key': /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
};

/** Compiles redaction options. Throws `MNOPS_CORE_CONFIG_INVALID` for a path that cannot be read. */
export function compileRedaction(options: RedactOptions = {}, onRedacted: () => void = () => undefined): Redactor {
  const replacement = options.replaceWith ?? '[Redacted]';
  const paths = (options.paths ?? []).map((path, index) => parsePath(path, `redact.paths[${index}]`));
  const patterns = (options.patterns ?? []).map((pattern) =>
    typeof pattern === 'string' ? readyPatterns[pattern] : globalOf(pattern),
  );
  return {
    root: paths.length === 0 ? undefined : automaton(paths),
    clean: patterns.length === 0 ? undefined : cleaner(patterns, replacement, onRedacted),
    replacement,
  };
}

function cleaner(patterns: readonly RegExp[], replacement: string, onRedacted: () => void): (text: string) => string {
  return (text) => {
    let clean = text;
    for (const pattern of patterns) {
      pattern.lastIndex = 0;
      if (!pattern.test(clean)) continue;
      clean = clean.replace(pattern, () => {
        onRedacted();
        return replacement;
      });
    }
    return clean;
  };
}

function globalOf(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`);
}

/** Splits `a.b[0]["c.d"].*` into its keys. */
function parsePath(path: string, field: string): readonly string[] {
  const segments: string[] = [];
  const piece = /\.?([^.[\]]+)|\[(?:"([^"]*)"|'([^']*)'|(\d+|\*{1,2}))\]/y;
  while (piece.lastIndex < path.length) {
    const found = piece.exec(path);
    const segment = found?.[1] ?? found?.[2] ?? found?.[3] ?? found?.[4];
    if (segment === undefined) {
      const issue = {
        field,
        expected: 'a path such as user.card or items[*].token',
        received: 'a text that is no path',
      };
      throw configError('logging', [{ ...issue, remedy: 'Separate keys by dots and put indexes into brackets.' }]);
    }
    segments.push(segment);
  }
  if (segments.length === 0) {
    const issue = { field, expected: 'a path such as user.card', received: 'an empty text' };
    throw configError('logging', [{ ...issue, remedy: 'Name the attribute to remove, or leave the path out.' }]);
  }
  return segments;
}

type Position = readonly [path: number, index: number];

/** A lazily built deterministic automaton: each state is made once, keys that no path names share one transition. */
function automaton(paths: readonly (readonly string[])[]): RedactState {
  const states = new Map<string, RedactState>();

  function close(positions: readonly Position[]): Position[] {
    const seen = new Map<string, Position>();
    const visit = (position: Position): void => {
      const name = position.join(':');
      if (seen.has(name)) return;
      seen.set(name, position);
      // `**` also stands for nothing at all.
      if (paths[position[0]]?.[position[1]] === '**') visit([position[0], position[1] + 1]);
    };
    positions.forEach(visit);
    return [...seen.values()];
  }

  function step(positions: readonly Position[], key: string | undefined): RedactState | undefined {
    const reached: Position[] = [];
    for (const [path, index] of positions) {
      const segment = paths[path]?.[index];
      if (segment === '**') reached.push([path, index]);
      else if (segment === '*' || (key !== undefined && segment === key)) reached.push([path, index + 1]);
    }
    return reached.length === 0 ? undefined : stateOf(close(reached));
  }

  function stateOf(positions: readonly Position[]): RedactState {
    const name = positions
      .map((position) => position.join(':'))
      .sort()
      .join(' ');
    const known = states.get(name);
    if (known !== undefined) return known;
    const literals = new Map<string, RedactState | undefined>();
    let other: RedactState | undefined;
    const state: RedactState = {
      matched: positions.some(([path, index]) => index === paths[path]?.length),
      next: (key) => (literals.has(key) ? literals.get(key) : other),
    };
    states.set(name, state);
    for (const [path, index] of positions) {
      const segment = paths[path]?.[index];
      if (segment !== undefined && segment !== '*' && segment !== '**') literals.set(segment, step(positions, segment));
    }
    other = step(positions, undefined);
    return state;
  }

  return stateOf(close(paths.map((_, path) => [path, 0])));
}
