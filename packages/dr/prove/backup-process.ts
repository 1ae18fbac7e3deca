import { DisasterRecoveryManager, files } from '@mnops/dr';

/** A backup in a process of its own, to be killed: `ready` when it begins, `done` when it has ended. */
const [source = '', repository = '', key = ''] = process.argv.slice(2);
const dr = new DisasterRecoveryManager({
  key,
  sources: [files(source, { id: 'data' })],
  repository: { folder: repository },
});
await dr.start();
process.stdout.write('ready\n');
await dr.backup();
process.stdout.write('done\n');
await dr.stop();
