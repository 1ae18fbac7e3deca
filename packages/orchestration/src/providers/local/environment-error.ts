/** A variable that no process can be given. It knows the variable's name only: the value may be a secret. */
export class EnvironmentError extends Error {
  readonly variable: string;

  constructor(variable: string) {
    super(`The value of the variable ${variable} holds a NUL byte.`);
    this.variable = variable;
  }
}
