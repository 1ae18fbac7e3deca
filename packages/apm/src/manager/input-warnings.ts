import { warnOfFailure } from '@mnops/core';
import { type ConfigIssue, parseOptions } from '@mnops/core/config';
import type { GenericSchema } from 'valibot';

/** Calls that take no part in what the program does: what is wrong with them must not break it. */
export type QuietCall = 'trace' | 'withContext' | 'startSpan' | 'startActiveSpan' | 'recordMetric' | 'spanProcessor';

/** Most inputs that are looked at closely; further ones are counted. */
const maxChecks = 200;
/** Most warnings of one manager. */
const maxWarnings = 20;

/**
 * Says once for each field what calls that never throw could not use, and that nothing is recorded before `start()`. The
 * channel is the process warning, because a program that does not know of its mistake listens to nothing.
 */
export class InputWarnings {
  readonly #told = new Set<string>();
  #ignored = 0;
  #checks = 0;
  #started = false;
  readonly #toldEarly = new Set<'metric' | 'span'>();

  /** Calls whose input could not be used as it was. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Notes an input that a cheap look found odd, and says what is wrong by its schema. */
  odd(call: QuietCall, schema: GenericSchema, given: unknown): void {
    this.#ignored += 1;
    if (this.#checks >= maxChecks) return;
    this.#checks += 1;
    try {
      parseOptions(call, schema, given);
    } catch (error) {
      const { details } = error as { readonly details?: { readonly issues?: readonly ConfigIssue[] } };
      for (const issue of details?.issues ?? []) this.#tell(call, issue);
    }
  }

  /** Notes that a call came before `start()` had ended; the first span and the first metric are warned of. */
  early(call: QuietCall): void {
    if (this.#started) return;
    const what = call === 'recordMetric' ? 'metric' : 'span';
    if (this.#toldEarly.has(what)) return;
    this.#toldEarly.add(what);
    const lost =
      what === 'metric'
        ? 'the value is kept, but nothing judges it until then'
        : 'the span is not recorded, nor is any other until then';
    warn(
      'MNOPS_NOT_STARTED',
      `${call} was called before start() of the PerformanceMonitoringManager had ended: ${lost}. Call \`await apm.start()\` first.`,
    );
  }

  /** Says once what code of the user threw where nobody can catch it. @param what - As the beginning of a sentence. */
  failed(what: string, error: unknown): void {
    if (this.#told.has(what) || this.#told.size >= maxWarnings) return;
    this.#told.add(what);
    warnOfFailure('MNOPS_CALLBACK_FAILED', what, error);
  }

  /** From now on no call is too early; nor is one after a stop, which ends recording by intention. */
  started(): void {
    this.#started = true;
  }

  #tell(call: QuietCall, { field, expected, received, remedy }: ConfigIssue): void {
    const key = `${call} ${field}`;
    if (this.#told.has(key) || this.#told.size >= maxWarnings) return;
    this.#told.add(key);
    const where = field === '' ? 'the options' : field;
    warn('MNOPS_INPUT_IGNORED', `${call} does not use ${where}: expected ${expected}, received ${received}. ${remedy}`);
  }
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { code });
}
