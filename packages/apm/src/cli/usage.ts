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

Options, and what takes them
  --service <name>           only of this service (traces, baselines, cause)
  --operation <name>         only of this operation (traces, baselines, cause)
  --min-ms <number>          only traces that took at least so long (traces)
  --errors                   only traces that failed (traces)
  --from <time>, --to <time> only what began between them (traces, map)
  --at <time>                baselines of the hour of that time, else of all hours; when trouble began (cause)
  --limit <number>           entries at most; default 20 traces, all baselines (traces, baselines)
  --json                     answer in JSON: lists for traces and baselines, else one object, or null
  --color, --no-color        colours; default on a terminal without NO_COLOR
  --help, --version

A time is 2030-01-31T12:00:00Z, with an offset instead of Z, or a day (UTC).

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 nothing found · 4 the source cannot be read
`;
