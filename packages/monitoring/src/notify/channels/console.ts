import type { Notifier } from '@mnops/core/spi';
import { fittingText } from '../fitting-text.js';

/** UTF-8 bytes of a notification's text. */
const maxBytes = 16_384;

/** How notifications reach the terminal. */
export interface ConsoleNotifierOptions {
  /** Takes one line without its end. Default: standard error. */
  readonly write?: ((line: string) => void) | undefined;
}

/** Writes one line per notification, such as `FIRING critical CheckoutErrors: 7 % of requests fail`. */
export function consoleNotifier(options: ConsoleNotifierOptions = {}): Notifier {
  const write = options.write ?? ((line: string) => void process.stderr.write(`${line}\n`));
  return {
    specVersion: 1,
    kind: 'notifier',
    id: 'console',
    capabilities: { resolved: true, threads: false, maxBytes },
    async send({ status, severity, title, text }, call) {
      call.signal.throwIfAborted();
      const tail = text === '' || text === title ? '' : `: ${fittingText(text, maxBytes)}`;
      // A label may hold control characters; they must not reach the terminal.
      write(`${status.toUpperCase()} ${severity} ${title}${tail}`.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' '));
    },
  };
}
