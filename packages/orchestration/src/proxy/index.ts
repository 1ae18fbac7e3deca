export type { RouteCounts, RouteShares, ServiceAddress } from '@mnops/core/spi';
export type { ProxyFailure } from './figures.js';
export type { ProxyLimits } from './limits.js';
export { ServiceProxy, type ServiceProxyOptions } from './service-proxy.js';
export type { ProxyTarget } from './target.js';
