import { packageBuild } from '@mnops/tooling/tsup';

export default packageBuild(import.meta.dirname);
