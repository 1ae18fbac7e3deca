import manifest from '../package.json' with { type: 'json' };

/** Version of this package, as its program tells it. */
export const packageVersion: string = manifest.version;
