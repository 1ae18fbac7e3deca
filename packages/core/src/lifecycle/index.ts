export { type Disposables, disposables } from './disposables.js';
export { type EventHub, type EventHubOptions, type EventNames, eventHub } from './event-hub.js';
export { Lifecycle, type LifecycleOptions, type StopOptions } from './lifecycle.js';
export { type ProcessHook, type ProcessHookCoordinator, processHooks } from './process-hooks.js';
