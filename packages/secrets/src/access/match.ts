/**
 * Whether a rule's pattern covers a path: segment by segment, where `+` stands for one whole segment and a `*` at the end
 * for any rest, the empty one included.
 */
export function patternCovers(pattern: string, path: string): boolean {
  const open = pattern.endsWith('*');
  const wanted = (open ? pattern.slice(0, -1) : pattern).split('/');
  const given = path.split('/');
  if (given.length < wanted.length || (!open && given.length > wanted.length)) return false;
  const last = wanted.length - 1;
  return wanted.every((segment, index) => {
    const other = given[index] ?? '';
    if (open && index === last) return other.startsWith(segment);
    return segment === '+' || segment === other;
  });
}

/**
 * Orders patterns from general to specific, as Vault does: of two, the one whose first wildcard comes later is more
 * specific, then the one that does not end with `*`, then the one with fewer `+`, then the longer, then the greater text.
 */
export function compareSpecificity(a: string, b: string): number {
  return (
    firstWildcard(a) - firstWildcard(b) ||
    Number(!a.endsWith('*')) - Number(!b.endsWith('*')) ||
    plusCount(b) - plusCount(a) ||
    a.length - b.length ||
    (a < b ? -1 : a > b ? 1 : 0)
  );
}

function firstWildcard(pattern: string): number {
  const at = pattern.search(/\*$|(?<=^|\/)\+(?=$|\/)/);
  return at === -1 ? Number.MAX_SAFE_INTEGER : at;
}

function plusCount(pattern: string): number {
  return pattern.split('/').filter((segment) => segment === '+').length;
}
