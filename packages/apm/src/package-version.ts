import manifest from '../package.json' with { type: 'json' };

/** Version of this package, as told to back ends. */
export const packageVersion: string = manifest.version;
