"""Grid positions that stand for "no such step": one before every grid, one after every grid."""

from __future__ import annotations

# Far beyond every grid; differences between them still fit into eight bytes.
NEVER, LATEST = -(1 << 61), 1 << 61
