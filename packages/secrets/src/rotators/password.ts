import { randomInt } from 'node:crypto';
import { configError, countSchema } from '@mnops/core/config';
import * as v from 'valibot';

/** How passwords are made. */
export interface PasswordOptions {
  /** Characters. Default 32. */
  readonly length?: number | undefined;
  /** The characters that may occur, each once. Default: letters and digits, for MySQL also `-_.~`. */
  readonly alphabet?: string | undefined;
}

/** Makes passwords of one kind. */
export type PasswordMaker = () => string;

/** Letters and digits: no server, shell, URL or configuration file reads them as anything else. */
export const plainAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Checks `PasswordOptions`; what they amount to is for `passwordMaker` to say. */
export const passwordSchema: v.GenericSchema<PasswordOptions> = v.strictObject({
  length: v.optional(v.pipe(countSchema, v.maxValue(1_024))),
  alphabet: v.optional(v.string()),
});

/** Less could be guessed. */
const leastBits = 80;
const classes: readonly RegExp[] = [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/];

/**
 * A maker of random passwords. Each character is drawn without bias; a password that lacks one of the classes in its
 * alphabet (capitals, small letters, digits, others) is thrown away whole, so that those which are left stay equally likely.
 *
 * @param name - Names the options in errors.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for an alphabet that is not printable ASCII, repeats itself, or is too
 * small for the length to give 80 bits.
 */
export function passwordMaker(
  name: string,
  { length = 32, alphabet = plainAlphabet }: PasswordOptions = {},
): PasswordMaker {
  const characters = [...alphabet];
  const bits = length * Math.log2(Math.max(1, characters.length));
  const required = classes.filter((pattern) => pattern.test(alphabet));
  if (/[^!-~]/.test(alphabet) || new Set(characters).size !== characters.length || bits < leastBits) {
    throw configError(name, [
      {
        field: /[^!-~]/.test(alphabet) || bits >= leastBits ? 'alphabet' : 'length',
        expected: `different printable ASCII characters, and enough of them for ${leastBits} bits`,
        received: `${characters.length} characters, ${Math.floor(bits)} bits`,
        remedy: 'Name each character once, and take a greater length or alphabet.',
      },
    ]);
  }
  return () => {
    for (;;) {
      let password = '';
      for (let at = 0; at < length; at += 1) password += characters[randomInt(characters.length)];
      if (required.every((pattern) => pattern.test(password))) return password;
    }
  };
}
