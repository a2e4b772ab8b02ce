"""Grid positions that stand for "no such step": before and after every step of every grid."""

from __future__ import annotations

# Far beyond every grid, and differences of them are still numbers of eight bytes.
NEVER, LATEST = -(1 << 61), 1 << 61
