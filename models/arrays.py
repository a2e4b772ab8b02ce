"""The array types of the project, one name for each; annotations only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
StringArray = npt.NDArray[np.str_]
DatetimeArray = npt.NDArray[np.datetime64]

# Grid positions, offsets and counts.
IntArray = npt.NDArray[np.int64]
# Positions inside a compiled training step, and rows of embeddings.
Int32Array = npt.NDArray[np.int32]
# Ranks of a few hundred draws.
Int16Array = npt.NDArray[np.int16]

# Statistics and forecasts.
FloatArray = npt.NDArray[np.float64]
# A panel's values and the network's weights.
Float32Array = npt.NDArray[np.float32]
# Either of the two.
FloatingArray = npt.NDArray[np.floating]
