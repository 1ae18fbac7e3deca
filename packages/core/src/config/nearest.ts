/** The candidate that a mistyped name most likely stands for, if any is near. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const plain = normal(name);
  let best: string | undefined;
  let bestDistance = Math.max(name.length < 4 ? 1 : 2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    if (normal(candidate) === plain) return candidate;
    // Long names are no typing errors, and the distance of each costs the product of the lengths.
    if (name.length > 64 || candidate.length > 64) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function normal(name: string): string {
  return name.toLowerCase().replace(/[-_. ]/g, '');
}

/** Levenshtein distance in which two neighbours that changed places count as one change. */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swap = swapped ? (before[j - 2] as number) + 1 : change;
      next.push(Math.min(change, swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    before = row;
    row = next;
  }
  return row[to.length] as number;
}
