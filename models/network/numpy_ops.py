"""The functions of `keras.ops` that a forecast needs, with the same names and arguments, in NumPy."""

from __future__ import annotations

import numpy as np
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
    ones_like,
    repeat,
    reshape,
    sign,
    stack,
    sum,
    where,
)

from models.arrays import AnyArray

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
    "ones_like",
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


def cast(values: AnyArray, dtype: str) -> AnyArray:
    return values.astype(dtype, copy=False)


def relu(values: AnyArray) -> AnyArray:
    return np.maximum(values, 0)


def softplus(values: AnyArray) -> AnyArray:
    # `logaddexp` is not vectorised; this is. It gives 0 where the result is below 1e-7.
    return np.asarray(np.maximum(values, 0) + np.log(1 + np.exp(-np.abs(values))))


def take(values: AnyArray, indices: AnyArray, axis: int | None = None) -> AnyArray:
    # No index is out of range; with "raise", the default, NumPy would copy the result once more.
    return np.take(values, indices, axis=axis, mode="clip")
