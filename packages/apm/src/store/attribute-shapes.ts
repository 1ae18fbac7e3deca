/** The names of a span's attributes in their order, shared by all spans that have the same. */
export interface Shape {
  readonly size: number;
  /** Last name; absent of the empty shape. */
  readonly key: string | undefined;
  /** The names before the last. */
  readonly parent: Shape | undefined;
}

interface Node extends Shape {
  /** The step taken last, which is mostly the next one too. */
  lastKey: string | undefined;
  lastNext: Node | undefined;
  readonly next: Map<string, Node>;
}

/** Shapes remembered at once; afterwards it begins anew, so that names made from data do not pile up. */
const maxShapes = 4_096;

/** Finds the shape of a span's attributes, one name at a time. */
export class AttributeShapes {
  #root: Node = node(undefined, undefined);
  #count = 0;

  /** The shape without names, from which every other is reached. */
  empty(): Shape {
    if (this.#count >= maxShapes) {
      this.#root = node(undefined, undefined);
      this.#count = 0;
    }
    return this.#root;
  }

  /** A shape of this table with one more name. */
  with(shape: Shape, key: string): Shape {
    const from = shape as Node;
    if (from.lastKey === key && from.lastNext !== undefined) return from.lastNext;
    let next = from.next.get(key);
    if (next === undefined) {
      next = node(key, from);
      from.next.set(key, next);
      this.#count += 1;
    }
    from.lastKey = key;
    from.lastNext = next;
    return next;
  }
}

function node(key: string | undefined, parent: Node | undefined): Node {
  const size = parent === undefined ? 0 : parent.size + 1;
  return { size, key, parent, lastKey: undefined, lastNext: undefined, next: new Map() };
}

/** The names of a shape in their order. */
export function keysOf(shape: Shape): string[] {
  const keys = new Array<string>(shape.size);
  for (let at: Shape | undefined = shape; at?.key !== undefined; at = at.parent) keys[at.size - 1] = at.key;
  return keys;
}
