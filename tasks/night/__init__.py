"""What every step of one night knows: the job, its places, the run and its cutoff.

Its face: `Night`, `Job`.
"""
