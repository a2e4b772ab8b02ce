"""Order, place and time: the nightly flow, the job file, the command line."""
