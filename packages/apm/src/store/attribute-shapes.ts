/** The names of a span's attributes in their order, shared by all spans that have the same. */
export interface Shape {
  readonly size: number;
  /** All names, once they were asked for; see `keysOf`. */
  keys: readonly string[] | undefined;
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

/** Shapes that one root may lead to; names made from data must not pile up. */
const maxShapes = 4_096;

/** Finds the shape of a span's attributes, one name at a time. */
export class AttributeShapes {
  #count = 0;

  /** Whether there are so many shapes that it is time to begin anew. Shapes that are in use live on. */
  get isFull(): boolean {
    return this.#count >= maxShapes;
  }

  /** Begins anew. @returns The shape without names, from which every other is reached. */
  renew(): Shape {
    this.#count = 0;
    return node(undefined, undefined);
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
  return { size, keys: undefined, key, parent, lastKey: undefined, lastNext: undefined, next: new Map() };
}

/** The names of a shape in their order. */
export function keysOf(shape: Shape): readonly string[] {
  if (shape.keys !== undefined) return shape.keys;
  const keys = new Array<string>(shape.size);
  for (let at: Shape | undefined = shape; at?.key !== undefined; at = at.parent) keys[at.size - 1] = at.key;
  shape.keys = keys;
  return keys;
}

/** The shape of the first names of a shape. */
export function firstOf(shape: Shape, size: number): Shape {
  let at = shape;
  while (at.size > size && at.parent !== undefined) at = at.parent;
  return at;
}
