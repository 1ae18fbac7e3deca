const maxCharacters = 500;
const maxCode = 64;
const secretName =
  '(?:password|passwd|pwd|secret|token|credential|authorization|cookie|signature|sig|api[-_ ]?key|access[-_ ]?key|private[-_ ]?key|license[-_ ]?key|honeycomb-team)';
/** A text in quotation marks, those inside with a backslash; the last one is missing where the message was cut. */
const quoted = `"(?:[^"\\\\]|\\\\[^])*(?:"|$)|'(?:[^'\\\\]|\\\\[^])*(?:'|$)`;
/** What may stand between a name and its value; in JSON within JSON there are backslashes, and headers come in lists. */
const between = `\\\\*["']?[^\\S\\r\\n]*[:=][^\\S\\r\\n]*(?:\\[(?!removed)\\s*)?`;
const replacement = '[removed]';

/** Forms in which credentials stand in messages, and what is left of each. */
const forms: readonly (readonly [RegExp, string])[] = [
  // https://user:password@host; a password may have an @ itself.
  [/\b([a-z][a-z\d+.-]*:\/\/)[^\s/?#]+@/gi, `$1${replacement}@`],
  // Everything that a query says: which names are secret is the other side's choice.
  [/\b([a-z][a-z\d+.-]*:\/\/[^\s?#]*)\?[^\s'"`)>\]]*/gi, `$1?${replacement}`],
  // The whole of a header: what comes first may be the name of a scheme, or the first cookie of several.
  [
    new RegExp(`(?<!\\w)((?:authorization|cookie)${between})(${quoted}|[^\\s"'][^\\r\\n]*|\\\\.*)`, 'gi'),
    `$1${replacement}`,
  ],
  [/\b(bearer|basic|apikey)\s+[\w.~+/=-]{6,}/gi, `$1 ${replacement}`],
  [new RegExp(`((?<![\\w-])[\\w-]*${secretName}[\\w-]*${between})(${quoted}|[^\\s,;&]+)`, 'gi'), `$1${replacement}`],
];

/**
 * What code of somebody else said when it failed, fit for a warning: one line of at most 500 characters, in which
 * credentials in addresses, queries, headers and `name=value` pairs are replaced. What is no error is told by its kind.
 *
 * @param error - What was thrown; nothing of it is run but the getters of `name` and `message`.
 */
export function toldMessage(error: unknown): string {
  try {
    const { name, message, code } = (error ?? {}) as { name?: unknown; message?: unknown; code?: unknown };
    const text = typeof error === 'string' ? error : message;
    if (typeof text !== 'string' || text === '') {
      return typeof name === 'string' && name !== '' ? oneLine(name, maxCharacters) : typeof error;
    }
    // Cut before too: what is long is not searched. In lines still, because a header ends with its line.
    let told = text.slice(0, 4 * maxCharacters);
    for (const [form, left] of forms) told = told.replace(form, left);
    if (typeof code !== 'string' || told.includes(code)) return oneLine(told, maxCharacters);
    const suffix = ` (${oneLine(code, maxCode)})`;
    return `${oneLine(told, maxCharacters - suffix.length).replace(/\.$/, '')}${suffix}`;
  } catch {
    return 'an error that cannot be read';
  }
}

function oneLine(text: string, most: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
