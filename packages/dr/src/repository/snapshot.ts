/** One snapshot as the format stores it. */
export interface Snapshot {
  /** RFC 3339 time at which the backup began. */
  readonly time: string;
  readonly parent?: string | undefined;
  /** Id of the root tree. */
  readonly tree: string;
  readonly paths: readonly string[];
  readonly hostname?: string | undefined;
  readonly username?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly tags?: readonly string[] | undefined;
}

/** The snapshot in a parsed file, or `undefined` when it is none. */
export function decodeSnapshot(value: unknown): Snapshot | undefined {
  const snapshot = value as Partial<Snapshot> | null | undefined;
  if (typeof snapshot?.tree !== 'string' || !/^[0-9a-f]{64}$/.test(snapshot.tree)) return undefined;
  if (typeof snapshot.time !== 'string' || Number.isNaN(Date.parse(snapshot.time))) return undefined;
  const paths = Array.isArray(snapshot.paths) ? snapshot.paths.filter((path) => typeof path === 'string') : [];
  const tags = Array.isArray(snapshot.tags) ? snapshot.tags.filter((tag) => typeof tag === 'string') : [];
  return { ...snapshot, time: snapshot.time, tree: snapshot.tree, paths, tags };
}
