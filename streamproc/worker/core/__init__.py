"""Pure policy and bookkeeping: no I/O, no clock, no thread."""
