import { countSchema, functionSchema, parseOptions } from '@mnops/core/config';
import * as v from 'valibot';

/** How a vector detector judges. */
export interface VectorDetectorOptions {
  /** Numbers in each vector; at most 100,000. */
  readonly dimensions: number;
  /** Default 25. All trees together have at most 16,777,216 nodes: `trees * 2 ** (depth + 1)`. */
  readonly trees?: number | undefined;
  /** Halvings from the root of a tree to a leaf. Default 7, at most 20. */
  readonly depth?: number | undefined;
  /** Vectors that are compared with the window of vectors before. Default 250, at most 65,535. */
  readonly window?: number | undefined;
  /** Uniform in [0, 1), for the trees. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Judges vectors, such as rate, share of failures and latency of one service together. */
export interface VectorDetector {
  /**
   * Judges the vector, then learns it.
   *
   * @returns From 0 to 1; from 0.5 on it is an anomaly. 0 during the first two windows, which are learned from, and for
   * a vector with a value that is no finite number.
   */
  next(vector: readonly number[]): number;
}

/** Share of a window below which a node is too empty to go on below it. */
const sparse = 0.1;
/** Share of usual vectors that are as lonely as the measure, and how many times lonelier an anomaly is. */
const lonelyShare = 0.01;
const lonelier = 1.5;

/** Random halvings of the space, with the number of vectors in each part: of the window before, and of this one. */
class HalfSpaceTree {
  readonly #depth: number;
  readonly #dimension: Uint8Array;
  readonly #split: Float32Array;
  #before: Uint16Array;
  #now: Uint16Array;

  constructor(dimensions: number, depth: number, random: () => number) {
    const nodes = 2 ** (depth + 1) - 1;
    this.#depth = depth;
    this.#dimension = new Uint8Array(nodes);
    this.#split = new Float32Array(nodes);
    this.#before = new Uint16Array(nodes);
    this.#now = new Uint16Array(nodes);
    const low: number[] = [];
    const high: number[] = [];
    for (let dimension = 0; dimension < dimensions; dimension += 1) {
      // A work range around a random centre that holds all of [0, 1], so that no two trees halve alike.
      const centre = random();
      const reach = 2 * Math.max(centre, 1 - centre);
      low.push(centre - reach);
      high.push(centre + reach);
    }
    this.#divide(0, 0, low, high, random);
  }

  #divide(node: number, level: number, low: number[], high: number[], random: () => number): void {
    if (level === this.#depth) return;
    const dimension = Math.floor(random() * low.length);
    const middle = ((low[dimension] as number) + (high[dimension] as number)) / 2;
    this.#dimension[node] = dimension;
    this.#split[node] = middle;
    this.#divide(2 * node + 1, level + 1, low, high.with(dimension, middle), random);
    this.#divide(2 * node + 2, level + 1, low.with(dimension, middle), high, random);
  }

  /** How crowded the place of a point is by the window before; the point is counted for this one. */
  next(point: Float64Array, least: number): number {
    let node = 0;
    let crowd = -1;
    for (let level = 0; level <= this.#depth; level += 1) {
      this.#now[node] = (this.#now[node] as number) + 1;
      const mass = this.#before[node] as number;
      if (crowd < 0 && (mass <= least || level === this.#depth)) crowd = mass * 2 ** level;
      const right = (point[this.#dimension[node] as number] as number) >= (this.#split[node] as number);
      node = 2 * node + (right ? 2 : 1);
    }
    return crowd;
  }

  turn(): void {
    [this.#before, this.#now] = [this.#now, this.#before];
    this.#now.fill(0);
  }
}

const mostDepth = 20;
/** Nodes of all trees, 9 bytes each. */
const maxNodes = 2 ** 24;
/** Each node counts the vectors of a window in 16 bits. */
const maxWindow = 65_535;

const optionsSchema = v.pipe(
  v.strictObject({
    dimensions: v.pipe(countSchema, v.maxValue(100_000)),
    trees: v.optional(countSchema),
    depth: v.optional(v.pipe(countSchema, v.maxValue(mostDepth))),
    window: v.optional(v.pipe(countSchema, v.maxValue(maxWindow))),
    random: v.optional(functionSchema),
  }),
  v.forward(
    v.check(
      // A depth that is refused by itself says nothing about the number of trees.
      ({ trees = 25, depth = 7 }) => depth > mostDepth || trees * 2 ** (depth + 1) <= maxNodes,
      `fewer trees or less depth: trees * 2 ** (depth + 1) is at most ${maxNodes}`,
    ),
    ['trees'],
  ),
);

/**
 * Half-space trees: Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data" (IJCAI 2011). Each dimension is
 * scaled by the range of the first window.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is missing, unknown or malformed.
 */
export function createVectorDetector(options: VectorDetectorOptions): VectorDetector {
  parseOptions('createVectorDetector', optionsSchema, options);
  const { dimensions, trees: count = 25, depth = 7, window = 250, random = Math.random } = options;
  const trees = Array.from({ length: count }, () => new HalfSpaceTree(dimensions, depth, random));
  const low = new Float64Array(dimensions).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(dimensions).fill(Number.NEGATIVE_INFINITY);
  const point = new Float64Array(dimensions);
  let first: number[][] | undefined = [];
  let crowds: number[] = [];
  let usual: number | undefined;

  const place = (vector: readonly number[]): number => {
    for (let i = 0; i < dimensions; i += 1) {
      const width = (high[i] as number) - (low[i] as number);
      // The range of a window is not all that is usual, so it fills the middle half.
      point[i] = width > 0 ? 0.25 + (0.5 * ((vector[i] as number) - (low[i] as number))) / width : 0.5;
    }
    let crowd = 0;
    for (const tree of trees) crowd += tree.next(point, sparse * window);
    return crowd / count;
  };
  const learnFirst = (vectors: number[][], vector: readonly number[]): void => {
    vectors.push([...vector]);
    for (const [i, value] of vector.entries()) {
      low[i] = Math.min(low[i] as number, value);
      high[i] = Math.max(high[i] as number, value);
    }
    if (vectors.length < window) return;
    for (const one of vectors) place(one);
    for (const tree of trees) tree.turn();
    first = undefined;
  };
  return {
    next(vector) {
      if (!Array.isArray(vector) || vector.length !== dimensions || !vector.every(Number.isFinite)) return 0;
      if (first !== undefined) {
        learnFirst(first, vector);
        return 0;
      }
      const crowd = place(vector);
      crowds.push(crowd);
      const score = usual === undefined ? 0 : usual / (usual + lonelier * crowd);
      if (crowds.length === window) {
        crowds.sort((a, b) => a - b);
        usual = Math.max(crowds[Math.floor(lonelyShare * window)] as number, 1e-9);
        crowds = [];
        for (const tree of trees) tree.turn();
      }
      return score;
    },
  };
}
