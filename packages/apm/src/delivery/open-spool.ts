import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '@mnops/core/spi';
import type { ResolvedSpool } from './delivery-config.js';
import type { Dispatcher } from './dispatcher.js';
import { spanCodec } from './span-codec.js';
import { Spool, type SpoolOptions } from './spool.js';

/**
 * Gives a dispatcher its place on disk, and the spans that ended processes left there. It never rejects: without a disk,
 * spans are held in memory only.
 */
export async function openSpool(
  dispatcher: Dispatcher,
  exporter: string,
  options: ResolvedSpool,
  clock: Clock,
  listeners: Pick<SpoolOptions, 'onDamaged' | 'onFailed' | 'onRecovered'>,
): Promise<void> {
  const spool = new Spool({
    ...options,
    ...listeners,
    folder: join(options.folder, folderName(exporter)),
    clock,
    onLost: (record, reason) => dispatcher.lost(record, reason),
    onGone: (record) => dispatcher.gone(record),
    onAdopted: (records) => dispatcher.adopt(records),
  });
  dispatcher.attach({ spool, codec: spanCodec, intervalMs: options.intervalMs });
  await spool.open();
}

/** An exporter's id as the name of a folder: the same for the same id, different for different ones. */
function folderName(id: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,63}$/.test(id)) return id;
  const readable = id.replace(/[^A-Za-z0-9-]+/g, '-').slice(0, 40);
  return `${readable}_${createHash('sha256').update(id).digest('hex').slice(0, 12)}`;
}
