/** A variable that no process can be given. It knows the variable's name only: the value may be a secret. */
export interface EnvironmentError extends Error {
  readonly code: 'environment-invalid';
  readonly variable: string;
}

/** The error for a variable whose value holds a NUL byte. */
export function environmentError(variable: string): EnvironmentError {
  const message = `The value of the variable ${variable} holds a NUL byte.`;
  return Object.assign(new Error(message), { code: 'environment-invalid' as const, variable });
}
