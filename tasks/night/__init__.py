"""What every step of one night knows: the job, its places, its ledger, the run and the cutoff.

Its face: `Night`, `Run`, `Job`, `Ledger`.
"""
