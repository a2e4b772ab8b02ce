"""The kinds of fault: each is a function that breaks the night of a trial and lets the next one follow."""
