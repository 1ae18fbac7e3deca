import { appendFile } from 'node:fs/promises';
import { storageError } from '@mnops/core';
import { parseOptions } from '@mnops/core/config';
import type { Notifier } from '@mnops/core/spi';
import * as v from 'valibot';
import { fittingText } from '../fitting-text.js';

/** UTF-8 bytes of a notification's text. */
const maxBytes = 65_536;

/** Where notifications are written. */
export interface FileNotifierOptions {
  /** File that gets one JSON object per line; it is created when absent, its folder is not. */
  readonly file: string;
}

const optionsSchema = v.strictObject({ file: v.pipe(v.string(), v.nonEmpty()) });

/**
 * Appends each notification to a file as a line of JSON.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; `send` rejects with `MNOPS_CORE_STORAGE_FAILED`.
 */
export function fileNotifier(options: FileNotifierOptions): Notifier {
  const { file } = parseOptions('fileNotifier', optionsSchema, options);
  return {
    specVersion: 1,
    kind: 'notifier',
    id: 'file',
    capabilities: { resolved: true, threads: false, maxBytes },
    async send(notification, call) {
      call.signal.throwIfAborted();
      try {
        await appendFile(
          file,
          `${JSON.stringify({ ...notification, text: fittingText(notification.text, maxBytes) })}\n`,
          { mode: 0o600 },
        );
      } catch (error) {
        throw storageError('append to', file, error);
      }
    },
  };
}
