import { codeOf, MnopsError } from '@mnops/core';
import { noResolver, noResolverRemedy } from '../../spec/secret-reference.js';

/**
 * Why an instance cannot be given its variables. The message is composed of names and codes only, so it may be shown: the
 * error that led to it may quote a secret, and is not kept.
 */
export class EnvironmentError extends Error {
  readonly code: 'environment-invalid' | 'secret-not-resolved' | 'address-unknown';
  /** Whether trying again is no use. */
  readonly final: boolean;

  constructor(code: EnvironmentError['code'], message: string, final: boolean) {
    super(message);
    this.name = 'EnvironmentError';
    this.code = code;
    this.final = final;
    own.add(this);
  }
}

const own = new WeakSet<object>();

/** Whether the error was made here, whatever a foreign one calls itself. */
export function isEnvironmentError(error: unknown): error is EnvironmentError {
  return typeof error === 'object' && error !== null && own.has(error);
}

/** The error for a variable whose value holds a NUL byte. */
export function nulByte(variable: string): EnvironmentError {
  return new EnvironmentError('environment-invalid', `The value of the variable ${variable} holds a NUL byte.`, true);
}

/** The error for a reference that was not resolved. Of a foreign error only its code is told: its text may hold the value. */
export function secretNotResolved(variable: string, reference: string, error: unknown): EnvironmentError {
  const path = reference.split(/[#?]/, 1)[0];
  const code = codeOf(error);
  const told = code !== undefined && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : 'unknown reason';
  const missing = MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID') && error.details?.['reason'] === noResolver;
  const why = missing ? `there is no resolver (${told}). ${noResolverRemedy}` : `${told}.`;
  return new EnvironmentError('secret-not-resolved', `${variable} could not be read from ${path}: ${why}`, missing);
}

/** The error for a variable that names a service without an address. */
export function addressUnknown(variable: string, service: string): EnvironmentError {
  const message = `${variable} needs the address of service ${service}, which is not deployed or has no port.`;
  return new EnvironmentError('address-unknown', `${message} Deploy ${service} with a port first.`, false);
}
