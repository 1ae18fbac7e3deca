/** What the command prints as its help. */
export const usage = `mnops-apm: traces, baselines, service map and causes, read from files

  mnops-apm [options] <command> <source>

  traces <source>            the traces, newest first
  trace <source> <id>        one trace as a tree; the beginning of its id is enough
  baselines <source>         what is usual for each operation
  map <source>               who calls whom
  cause <source> --at <time> which service a change began in

A source is the folder of a PerformanceMonitoringManager, or a file of OTLP JSON: one request, or one on each line, as
the file exporter of the OpenTelemetry Collector writes them; - is standard input. Nothing is changed in it.

Options
  --service <name>           only what this service took part in
  --operation <name>         only this operation
  --min-ms <number>          only traces that took at least so long
  --errors                   only traces that failed
  --from <time>, --to <time> only traces that began between them
  --limit <number>           lines at most; default 20 traces
  --json                     answer in JSON
  --color, --no-color        colours; default on a terminal without NO_COLOR
  --help, --version

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 nothing found · 4 the source cannot be read
`;
