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
