"""Training away from the night: in a process of its own, and on another machine where the job says so."""
