import type { Notifier } from '@mnops/core/spi';
import * as v from 'valibot';

/** A name that a user gives a channel. */
export const notifierIdSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'small letters, digits and -'),
);

/** A name for each notifier: its id, and a number behind it where several have the same. */
export function channelNames(notifiers: readonly Notifier[]): readonly string[] {
  const seen = new Map<string, number>();
  return notifiers.map(({ id }) => {
    const count = (seen.get(id) ?? 0) + 1;
    seen.set(id, count);
    return count === 1 ? id : `${id}-${count}`;
  });
}
