/** A quantile of values in rising order, linear between two of them (type 7 of Hyndman and Fan, 1996). There must be one. */
export function sortedQuantile(values: Float64Array, share: number): number {
  return between(values, (values.length - 1) * share);
}

/** Median of how far values in rising order are from a middle that lies among them. There must be one. */
export function medianDeviation(values: Float64Array, middle: number): number {
  // Distances grow to both sides of the middle: taking the nearer side again and again has them in order.
  const deviations = new Float64Array((values.length >> 1) + 1);
  let above = firstFrom(values, middle);
  let below = above - 1;
  for (let index = 0; index < deviations.length; index += 1) {
    const [up, down] = [(values[above] as number) - middle, middle - (values[below] as number)];
    // Beyond either end there is nothing, and nothing is nearer than that.
    if (below < 0 || up <= down) {
      deviations[index] = up;
      above += 1;
    } else {
      deviations[index] = down;
      below -= 1;
    }
  }
  return between(deviations, (values.length - 1) / 2);
}

/** What a quantile is taken of: a time, and how many it stands for. */
interface Counted {
  readonly ms: number;
  readonly count: number;
}

/**
 * A quantile of times, each as often as it stands for: `sortedQuantile` of a list that has every one of them. Where all
 * stand for as many, they are taken as one each, so that even sampling changes nothing. 0 without any.
 */
export function quantileOf(samples: readonly Counted[], share: number): number {
  const [first] = samples;
  if (first === undefined) return 0;
  if (samples.every(({ count }) => count === first.count)) {
    return sortedQuantile(Float64Array.from(samples, ({ ms }) => ms).sort(), share);
  }
  const inOrder = samples.toSorted((a, b) => a.ms - b.ms);
  const all = inOrder.reduce((sum, { count }) => sum + count, 0);
  const place = Math.max(0, (all - 1) * share);
  let before = 0;
  let previousMs = inOrder[0]?.ms ?? 0;
  for (const { ms, count } of inOrder) {
    // Those of one time lie from `before` to one before the next; from the last of one time to the first of the next it rises.
    if (place < before) return previousMs + (place - (before - 1)) * (ms - previousMs);
    if (place <= before + count - 1) return ms;
    before += count;
    previousMs = ms;
  }
  return previousMs;
}

function firstFrom(values: Float64Array, least: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

function between(values: Float64Array, place: number): number {
  const lower = Math.floor(place);
  const value = values[lower] as number;
  return lower === place ? value : value + (place - lower) * ((values[lower + 1] as number) - value);
}
