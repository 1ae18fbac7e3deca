import { LoadGenerator, type LoadPlan } from './load-generator.js';

/**
 * The load as a process of its own, so that it measures from outside. It gets its plan as the first message, sends
 * figures every 250 ms, and ends with its parent.
 */
let generator: LoadGenerator | undefined;

process.on('message', (message: { readonly plan?: LoadPlan; readonly stop?: true }) => {
  if (message.plan !== undefined) {
    generator = new LoadGenerator(message.plan, (figures) => process.send?.({ figures }));
    generator.start();
  } else if (message.stop === true) {
    void generator?.stop().then(() => process.disconnect());
  }
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the operator decides when the load ends.
process.on('SIGINT', () => undefined);
