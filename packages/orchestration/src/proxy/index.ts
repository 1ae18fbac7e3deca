export type { ProxyFailure } from './figures.js';
export type { ProxyLimits } from './limits.js';
export type { RouteShares } from './route.js';
export {
  type ServiceAddress,
  ServiceProxy,
  type ServiceProxyOptions,
  type ServiceProxyStats,
} from './service-proxy.js';
export type { ProxyTarget } from './target.js';
