import { packageBuild } from '../tooling/src/tsup.js';

export default packageBuild(import.meta.dirname, { rootApart: true });
