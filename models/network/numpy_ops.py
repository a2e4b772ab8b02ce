"""The functions of `keras.ops` that a forecast needs, for NumPy, under the same names and with the same arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import (
    abs,
    arcsinh,
    clip,
    concatenate,
    exp,
    floor,
    isnan,
    log,
    log1p,
    logical_not,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    repeat,
    reshape,
    sign,
    stack,
    sum,
    where,
)

Array = npt.NDArray[Any]

__all__ = [
    "abs",
    "arcsinh",
    "cast",
    "clip",
    "concatenate",
    "exp",
    "floor",
    "isnan",
    "log",
    "log1p",
    "logical_not",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "relu",
    "repeat",
    "reshape",
    "sign",
    "softplus",
    "stack",
    "sum",
    "take",
    "where",
]


def cast(values: Array, dtype: str) -> Array:
    return values.astype(dtype, copy=False)


def relu(values: Array) -> Array:
    return np.maximum(values, 0)


def softplus(values: Array) -> Array:
    # `logaddexp` goes number by number; this is vectorised, and 0 where it is below 1e-7.
    return np.asarray(np.maximum(values, 0) + np.log(1 + np.exp(-np.abs(values))))


def take(values: Array, indices: Array, axis: int | None = None) -> Array:
    # Indices are right by construction; "clip" spares a copy of the result that "raise" makes.
    return np.take(values, indices, axis=axis, mode="clip")
