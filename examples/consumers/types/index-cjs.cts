import core = require('@mnops/core');

export const isOurs: (error: unknown) => boolean = (error) => core.MnopsError.is(error);
