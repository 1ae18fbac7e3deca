const maxCharacters = 500;
const secretName =
  '(?:password|passwd|pwd|secret|token|credential|authorization|cookie|signature|sig|api[-_ ]?key|access[-_ ]?key|private[-_ ]?key|license[-_ ]?key)';
const replacement = '[removed]';

/** Forms in which credentials stand in messages, and what is left of each. */
const forms: readonly (readonly [RegExp, string])[] = [
  // https://user:password@host
  [/\b([a-z][a-z\d+.-]*:\/\/)[^\s/?#@]+@/gi, `$1${replacement}@`],
  // Everything that a query says: which names are secret is the other side's choice.
  [/\b([a-z][a-z\d+.-]*:\/\/[^\s?#]*)\?[^\s'"`)>\]]*/gi, `$1?${replacement}`],
  [/\b(bearer|basic|apikey)\s+[\w.~+/=-]{6,}/gi, `$1 ${replacement}`],
  [
    new RegExp(`(\\b[\\w-]*${secretName}[\\w-]*["']?\\s*[:=]\\s*)("[^"]*"|'[^']*'|[^\\s,;&]+)`, 'gi'),
    `$1${replacement}`,
  ],
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
    if (typeof text !== 'string' || text === '') return typeof name === 'string' && name !== '' ? name : typeof error;
    // Cut before too: what is long is not searched.
    let told = text
      .slice(0, 4 * maxCharacters)
      .replace(/\s+/g, ' ')
      .trim();
    for (const [form, left] of forms) told = told.replace(form, left);
    if (told.length > maxCharacters) told = `${told.slice(0, maxCharacters)}…`;
    return typeof code === 'string' && !told.includes(code)
      ? `${told.replace(/\.$/, '')} (${code.slice(0, 64)})`
      : told;
  } catch {
    return 'an error that cannot be read';
  }
}
