import type { SecretCapabilities, SecretProvider, Support } from '@mnops/core/spi';

const supports = ['none', 'emulated', 'native'] as const;
const consistencies = ['eventual', 'by-version', 'strong'] as const;
const conditions = ['none', 'metadata', 'version'] as const;
const deletions = ['none', 'secret', 'version'] as const;
const expiries = ['none', 'advisory', 'deletes'] as const;

/** The abilities of a composite, worked out anew when those of a member have changed: some know theirs when they are open. */
export function following(
  members: readonly SecretProvider[],
  capabilitiesOf: (members: readonly SecretProvider[]) => SecretCapabilities,
): () => SecretCapabilities {
  let from = members.map(({ capabilities }) => capabilities);
  let made = capabilitiesOf(members);
  return () => {
    if (members.some(({ capabilities }, at) => capabilities !== from[at])) {
      from = members.map(({ capabilities }) => capabilities);
      made = capabilitiesOf(members);
    }
    return made;
  };
}

/** What every member offers: of each ability the weakest form, of each limit the lowest. */
export function weakest(members: readonly SecretProvider[]): SecretCapabilities {
  const all = members.map(({ capabilities }) => capabilities);
  const least = <T extends string>(order: readonly T[], of: (each: SecretCapabilities) => T): T => {
    const at = Math.min(...all.map((each) => order.indexOf(of(each))));
    return order[at] as T;
  };
  const support = (of: (each: SecretCapabilities) => Support): Support => least(supports, of);
  const ids = new Set(all.map(({ versionIds }) => versionIds));
  const [onlyIds = 'none'] = ids;
  const kept = all.flatMap(({ maxVersions }) => maxVersions ?? []);
  return {
    write: all.every(({ write }) => write),
    list: all.every(({ list }) => list),
    versionIds: ids.size === 1 ? onlyIds : 'token',
    ...(all.some(({ versionIdsReused }) => versionIdsReused === true) ? { versionIdsReused: true } : {}),
    ...(kept.length === 0 ? {} : { maxVersions: Math.min(...kept) }),
    stages: support(({ stages }) => stages),
    atomicPromote: support(({ atomicPromote }) => atomicPromote),
    compareAndSet: least(conditions, ({ compareAndSet }) => compareAndSet),
    repeatableWrites: support(({ repeatableWrites }) => repeatableWrites),
    binary: support(({ binary }) => binary),
    keyValueMap: support(({ keyValueMap }) => keyValueMap),
    emptyValue: all.every(({ emptyValue }) => emptyValue),
    maxValueBytes: Math.min(...all.map(({ maxValueBytes }) => maxValueBytes)),
    softDelete: least(deletions, ({ softDelete }) => softDelete),
    ...recoveryOf(all),
    serverExpiry: least(expiries, ({ serverExpiry }) => serverExpiry),
    tags: support(({ tags }) => tags),
    annotations: all.every(({ annotations }) => annotations),
    batchGet: Math.min(...all.map(({ batchGet }) => batchGet)),
    watch: support(({ watch }) => watch),
    leases: all.every(({ leases }) => leases),
    durable: all.every(({ durable }) => durable),
    readAfterWrite: least(consistencies, ({ readAfterWrite }) => readAfterWrite),
    serverAudit: all.every(({ serverAudit }) => serverAudit),
    propagationMs: Math.max(...all.map(({ propagationMs }) => propagationMs)),
  };
}

/** The days that every member takes. */
function recoveryOf(all: readonly SecretCapabilities[]): Pick<SecretCapabilities, 'recoveryDays'> {
  const ranges = all.flatMap(({ recoveryDays }) => recoveryDays ?? []);
  const least = Math.max(...ranges.map((range) => range.least));
  const most = Math.min(...ranges.map((range) => range.most));
  return ranges.length === all.length && least <= most ? { recoveryDays: { least, most } } : {};
}

/** Paths that one `getMany` of a composite may name: what the member with the largest batches takes; 0 when none has them. */
export function largestBatch(members: readonly SecretProvider[]): number {
  return Math.max(...members.map(({ capabilities }) => capabilities.batchGet));
}
