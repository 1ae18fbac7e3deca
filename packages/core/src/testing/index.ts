export { type FakeClock, type FakeClockOptions, fakeClock } from './fake-clock.js';
export {
  type Fault,
  type FaultKind,
  type FaultScript,
  type FaultServer,
  faultServer,
  type RecordedRequest,
  type ScriptedReply,
} from './fault-server.js';
export { type MemorySnapshot, memorySnapshot } from './memory-snapshot.js';
export { eventually, type TestCall, type TestCallOptions, testCall } from './test-call.js';
