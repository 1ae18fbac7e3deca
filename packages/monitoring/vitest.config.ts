import { packageTests } from '../tooling/src/vitest.js';

export default packageTests(import.meta.dirname);
