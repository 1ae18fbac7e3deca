export {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitState,
  circuitBreaker,
} from './circuit-breaker.js';
export { type RetryEvent, type RetryOptions, retry } from './retry.js';
export { type RetryBudget, type RetryBudgetOptions, retryBudget } from './retry-budget.js';
export {
  type SharedCall,
  type SingleFlight,
  type SingleFlightOptions,
  singleFlight,
} from './single-flight.js';
