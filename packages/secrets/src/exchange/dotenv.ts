/** Something in a text that cannot be read. It names the place and never quotes what stands there. */
export interface FormatProblem {
  /** From 1. */
  readonly line: number;
  readonly expected: string;
}

/** What a text says, by name, and what of it cannot be read. */
export interface ParsedText {
  readonly values: ReadonlyMap<string, unknown>;
  readonly problems: readonly FormatProblem[];
}

const assignment = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*/;
const blankOrComment = /^[ \t]*(?:#.*)?$/;
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$', '`': '`' };

/**
 * Reads `NAME=value` lines: `export` before a name, comments, blank lines, a byte order mark and CRLF are borne. In single
 * quotes and backticks everything stands for itself, in double quotes `\n \r \t \" \\ \$` are escapes; both may go over
 * lines. Nothing is expanded: a `$` is a `$`.
 */
export function parseDotenv(text: string): ParsedText {
  const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const values = new Map<string, string>();
  const problems: FormatProblem[] = [];
  let at = 0;
  let line = 1;
  while (at < source.length) {
    const end = endOfLine(source, at);
    const head = assignment.exec(source.slice(at, end));
    if (head === null) {
      if (!blankOrComment.test(source.slice(at, end))) problems.push({ line, expected: 'NAME=value, or a comment' });
      at = end + 1;
      line += 1;
      continue;
    }
    const name = head[1] ?? '';
    const read = readValue(source, at + head[0].length, end);
    if (typeof read === 'string') {
      problems.push({ line, expected: read });
      at = end + 1;
      line += 1;
      continue;
    }
    if (values.has(name)) problems.push({ line, expected: `the name ${name} once` });
    values.set(name, read.value);
    line += source.slice(at, read.end).split('\n').length;
    at = read.end + 1;
  }
  return { values, problems };
}

/** The value that begins at a place and the end of its last line, or what was expected there. */
function readValue(
  source: string,
  at: number,
  lineEnd: number,
): { readonly value: string; readonly end: number } | string {
  const quote = source[at];
  if (quote !== "'" && quote !== '"' && quote !== '`') {
    const raw = source.slice(at, lineEnd);
    const comment = /(?:^|[ \t])#/.exec(raw);
    return { value: (comment === null ? raw : raw.slice(0, comment.index)).trim(), end: lineEnd };
  }
  let value = '';
  let next = at + 1;
  for (; next < source.length && source[next] !== quote; next += 1) {
    const escaped = quote === '"' && source[next] === '\\' ? escapes[source[next + 1] ?? ''] : undefined;
    value += escaped ?? source[next];
    if (escaped !== undefined) next += 1;
  }
  if (next >= source.length) return `an end of the value that begins with ${quote}`;
  const end = endOfLine(source, next);
  if (!blankOrComment.test(source.slice(next + 1, end))) return `nothing but a comment after the closing ${quote}`;
  return { value, end };
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf('\n', from);
  return end < 0 ? source.length : end;
}

/** One line, quoted so that shells and the common readers of such files take it for what it is. */
export function dotenvLine(name: string, value: string): string {
  if (/^[\w@%+=:,./-]*$/.test(value)) return `${name}=${value}\n`;
  if (!/['\r]/.test(value)) return `${name}='${value}'\n`;
  const escaped = value.replace(/["\\$`\n\r]/g, (character) => {
    if (character === '\n') return '\\n';
    return character === '\r' ? '\\r' : `\\${character}`;
  });
  return `${name}="${escaped}"\n`;
}
