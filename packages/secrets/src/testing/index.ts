export { type GcpFake, type GcpFakeOptions, gcpFake } from '../providers/gcp/gcp.fake.js';
