/**
 * Estimates a quantile from bucket counts by linear interpolation inside the bucket, as Prometheus does.
 *
 * @param counts - Observations per bucket, not cumulative; the last one is +Inf.
 * @param bounds - Upper bounds, ascending, without +Inf.
 * @returns `undefined` without observations; the highest bound when the quantile lies in the +Inf bucket.
 */
export function bucketQuantile(
  quantile: number,
  counts: readonly number[],
  bounds: ArrayLike<number>,
): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  const rank = Math.min(1, Math.max(0, quantile)) * total;
  let cumulative = 0;
  for (let index = 0; index < bounds.length; index++) {
    const count = counts[index] ?? 0;
    if (cumulative + count >= rank && count > 0) {
      const upper = bounds[index] as number;
      const lower = index === 0 ? Math.min(0, upper) : (bounds[index - 1] as number);
      return lower + (upper - lower) * ((rank - cumulative) / count);
    }
    cumulative += count;
  }
  return bounds.length === 0 ? Number.NaN : (bounds[bounds.length - 1] as number);
}
