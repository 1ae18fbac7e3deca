import { type Channel, channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel';
import { type OperationName, operationCatalogue } from './catalogue/index.js';

const made = new Map<OperationName, TracingChannel<unknown, object>>();

/**
 * The tracing channel that an operation publishes on. Kept: looking one up by name costs a thousand times a call that nobody
 * observes. Made when the operation first runs: most processes run few of them, and a tracing channel is five channels.
 */
export function operationChannel(name: OperationName): TracingChannel<unknown, object> {
  const known = made.get(name);
  if (known !== undefined) return known;
  const tracing = tracingChannel<unknown, object>(name);
  made.set(name, tracing);
  return tracing;
}

/** The channel of one event of an operation, for those who listen to no other. Named as `tracingChannel` names them. */
export function eventChannel(name: OperationName, event: 'start' | 'asyncEnd'): Channel {
  return channel(`tracing:${name}:${event}`);
}

/** The names of the operations of some packages, each with its two parts. */
export function operationsOf(
  packages: readonly string[] | undefined,
): readonly { readonly name: OperationName; readonly group: string; readonly operation: string }[] {
  return (Object.keys(operationCatalogue) as OperationName[]).flatMap((name) => {
    const [, group = '', operation = ''] = name.split(':');
    return packages === undefined || packages.includes(group) ? [{ name, group, operation }] : [];
  });
}
