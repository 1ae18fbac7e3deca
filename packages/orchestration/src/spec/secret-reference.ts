/** In `details.reason` of the error for a reference that there is no resolver for. */
export const noResolver = 'no-resolver';

/** What to do about a reference that there is no resolver for. */
export const noResolverRemedy = 'Pass `secrets` with a resolver to the ContainerOrchestrationManager.';
