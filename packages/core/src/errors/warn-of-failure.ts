import { toldMessage } from './told-message.js';

/**
 * Warns, in the process's own way, of code of somebody else that failed and that nobody waits for.
 *
 * @param code - Such as `MNOPS_LISTENER_FAILED`; `--disable-warning` takes it.
 * @param what - What failed, as the beginning of a sentence. What was thrown follows, credentials in it replaced, and the
 * first line of its stack; the warning has it as `cause`.
 */
export function warnOfFailure(code: `MNOPS_${string}`, what: string, error: unknown): void {
  const warning = new Error(`${what} failed: ${toldMessage(error)}`, { cause: error });
  // Only an error can carry a cause, and Node takes its name and code as they are. The detail is a line of its own.
  process.emitWarning(Object.assign(warning, { name: 'Warning', code, detail: placeOf(error) }));
}

/** Where it was thrown: the first line of the stack that is no message. */
function placeOf(error: unknown): string | undefined {
  try {
    const stack: unknown = (error as { readonly stack?: unknown } | null | undefined)?.stack;
    return typeof stack === 'string' ? /^ {4}at .{1,500}$/m.exec(stack)?.[0] : undefined;
  } catch {
    return undefined;
  }
}
