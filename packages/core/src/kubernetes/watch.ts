import { coreError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import { safeJsonParse } from '../http/index.js';
import type { Call, Clock } from '../spi/base.js';
import { linesOf } from './lines.js';
import {
  isGone,
  isRecord,
  type KubernetesStatus,
  parsedStatus,
  type RequestSubject,
  statusError,
} from './status-error.js';
import type { KubernetesList, KubernetesObject, KubernetesWatchEvent } from './types.js';

const firstWaitMs = 200;
const longestWaitMs = 30_000;
/** A server that starts may refuse for some moments what it allowed before. */
const refusalsForgiven = 5;

/** What a watch is made from. */
export interface WatchSource<T> {
  readonly subject: RequestSubject;
  list(): Promise<KubernetesList<T>>;
  /** Bytes of a watch that begins after a version. Rejects with what the server answered. */
  open(resourceVersion: string): Promise<AsyncIterable<Uint8Array>>;
  readonly resourceVersion: string | undefined;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
}

interface Position {
  /** Version after which the next watch begins; absent: list first. */
  version: string | undefined;
  /** Events seen so far. */
  events: number;
  /** Connections in a row that failed or brought nothing. */
  failures: number;
  /** Refusals in a row after it had worked. */
  refusals: number;
  worked: boolean;
}

/** Follows changes over any number of connections. An abort of the call ends it without an error. */
export async function* watched<T>(
  source: WatchSource<T>,
  call: Call,
): AsyncGenerator<KubernetesWatchEvent<T>, void, undefined> {
  const { clock } = source;
  const at: Position = { version: source.resourceVersion, events: 0, failures: 0, refusals: 0, worked: false };
  while (!call.signal.aborted) {
    let atLeastMs = 0;
    const { events } = at;
    const beganAt = clock.monotonic();
    try {
      if (at.version === undefined) yield await listedAgain(source, at);
      yield* connection(source, at, call);
      // An end is usual: servers end watches at random. One that brought nothing waits longer each time.
      at.failures = at.events > events ? 0 : at.failures + 1;
      if (at.failures === 0 && clock.monotonic() - beganAt >= firstWaitMs) continue;
    } catch (error) {
      if (call.signal.aborted) return;
      atLeastMs = forgiven(error, at);
    }
    const growing = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(at.failures, 10));
    const waitMs = Math.max(growing * (0.5 + source.random() / 2), atLeastMs);
    await clock.sleep(waitMs, call.signal).catch(() => undefined);
  }
}

async function listedAgain<T>(source: WatchSource<T>, at: Position): Promise<KubernetesWatchEvent<T>> {
  const { items, resourceVersion } = await source.list();
  at.version = resourceVersion;
  return { type: 'listed', items, resourceVersion };
}

/** Events of one connection, until it ends. */
async function* connection<T>(
  source: WatchSource<T>,
  at: Position,
  call: Call,
): AsyncGenerator<KubernetesWatchEvent<T>, void, undefined> {
  const body = await source.open(at.version ?? '');
  at.worked = true;
  at.refusals = 0;
  for await (const line of linesOf(body, source.maxBytes)) {
    const { type, object } = parsedEvent(line);
    if (type === 'ERROR') throw new WatchFailure(parsedStatus(object) ?? { causes: [] }, source.subject);
    const known = checkedObject<T>(object);
    at.version = known.metadata.resourceVersion ?? at.version;
    at.events += 1;
    if (type === 'BOOKMARK') continue;
    if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') throw invalid('type');
    yield { type: type.toLowerCase() as 'added' | 'modified' | 'deleted', object: known };
    if (call.signal.aborted) return;
  }
}

/** The server's own failure inside of a watch. */
class WatchFailure extends Error {
  readonly status: KubernetesStatus;
  readonly error: MnopsError;

  constructor(status: KubernetesStatus, subject: RequestSubject) {
    super('The server ended the watch.');
    this.status = status;
    this.error = statusError(status, subject);
  }
}

/** Milliseconds that the server asked for, 0 else; throws what no wait can mend. */
function forgiven(caught: unknown, at: Position): number {
  const error = caught instanceof WatchFailure ? caught.error : caught;
  if (!MnopsError.is(error)) throw error;
  at.failures += 1;
  const status = error.details?.['status'];
  const reason = error.details?.['reason'];
  const gone =
    caught instanceof WatchFailure
      ? isGone(0, caught.status)
      : isGone(Number(status), { reason: String(reason), causes: [] });
  if (gone) {
    at.version = undefined;
    return 0;
  }
  const refused = error.code === 'MNOPS_CORE_UNAUTHENTICATED' || error.code === 'MNOPS_CORE_ACCESS_DENIED';
  if (refused && at.worked && at.refusals < refusalsForgiven) {
    at.refusals += 1;
    return 0;
  }
  if (!error.retryable) throw error;
  return error.retryAfterMs ?? 0;
}

function parsedEvent(line: string): { readonly type: string; readonly object: unknown } {
  const event = safeJsonParse(line);
  if (!isRecord(event) || typeof event['type'] !== 'string') throw invalid('event');
  return { type: event['type'], object: event['object'] };
}

/** Anything from the server that is to be an object: it has metadata. */
export function checkedObject<T>(value: unknown): KubernetesObject<T> {
  if (isRecord(value) && isRecord(value['metadata'])) {
    const { resourceVersion } = value['metadata'];
    if (resourceVersion === undefined || typeof resourceVersion === 'string') return value as KubernetesObject<T>;
  }
  throw invalid('metadata');
}

function invalid(field: string): Error {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `kubernetes: an answer has no valid ${field}.`, {
    provider: 'kubernetes',
    details: { field },
  });
}
