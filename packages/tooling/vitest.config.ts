import { packageTests } from '@mnops/tooling/vitest';

export default packageTests(import.meta.dirname);
