import { packageBuild } from '../tooling/src/tsup.js';

// Of the SDK's packages a program needs a tenth, which is all that is left where its modules are taken apart here.
export default packageBuild(import.meta.dirname, {
  rootApart: true,
  holds: [
    '@opentelemetry/core',
    '@opentelemetry/resources',
    '@opentelemetry/sdk-trace',
    '@opentelemetry/sdk-trace-base',
    '@opentelemetry/semantic-conventions',
  ],
});
