"""What the benchmarks have in common: data sets, scoring, records of results, other products."""
