"""From what the recurrent stack remembers to quantiles of every step of the horizon, in scaled units.

`mix_lags` says where the median starts, from the series' own seasonal lags; `read_steps` gives what the
state says of each step, joined with what is known of the step; `spread_quantiles` makes of numbers, one per
step and level, quantiles that cannot cross. All of it is arithmetic without weights of its own, for Keras
(`network.py`) and for NumPy (`numpy_network.py`) alike.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from models.network.windows import Ops, Tensor, WindowShape

LAG_LIMIT = 50.0


def lag_columns(shape: WindowShape) -> int:
    """Columns that `scaled_lags` gives."""
    return 2 * int(shape.lags.shape[1]) + len(shape.seasons)


def scaled_lags(batch: dict[str, Tensor], shape: WindowShape, origins: int, ops: Ops) -> tuple[Tensor, Tensor]:
    """The seasonal naives of each step, relative to the origin's level and in its scale.

    Three kinds side by side: each lag as it was; each lag relative to the level and scale of its own cycle, which
    shows the season without the trend; and the newest lag moved by how far the series is from a season ago.

    Returns:
        Values, 0 where not observed, and whether they were observed; (window, origin, horizon, column) each.
    """
    level, scale = (batch[name][:, -origins:, None, None] for name in ("level", "scale"))
    observed = batch["lags_observed"]
    plain = (batch["lags"] - level) / scale
    detrended = (batch["lags"] - batch["lag_level"][:, :, None]) / batch["lag_scale"][:, :, None]
    moved = _columns(plain, shape.newest, ops) + batch["change"][:, -origins:, None]
    lags = ops.clip(ops.concatenate([plain, detrended, moved], axis=-1), -LAG_LIMIT, LAG_LIMIT)
    seen = ops.concatenate([observed, observed, _columns(observed, shape.newest, ops)], axis=-1)
    return lags * seen, seen


def _columns(values: Tensor, which: list[int], ops: Ops) -> Tensor:
    return ops.stack([values[..., place] for place in which], axis=-1)


def mix_lags(logits: Tensor, lags: Tensor, observed: Tensor, ops: Ops) -> Tensor:
    """The weighted mean of the seasonal naives and the level; equal logits make it the plain mean of what was observed.

    Args:
        logits: Shape (..., horizon, column + 1); the last one is the level's, which is 0 in scaled units.
        lags: Shape (window, origin, horizon, column), 0 where not observed.
        observed: Whether they were, of the same shape.
        ops: What computes.

    Returns:
        Shape (window, origin, horizon).
    """
    weight = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    seen = weight[..., :-1] * observed
    return ops.sum(seen * lags, axis=-1) / (ops.sum(seen, axis=-1) + weight[..., -1])


def read_steps(state: Tensor, known: Tensor, hidden: Callable[[Tensor], Tensor], ops: Ops) -> Tensor:
    """What the state and the known of each step say together.

    Args:
        state: What the state says of all steps, shape (window, origin, horizon * unit).
        known: What is known of each, shape (window, origin, horizon, unit).
        hidden: A dense layer from units to as many, added to what went in.
        ops: What computes.

    Returns:
        Shape (window, origin, horizon, unit).
    """
    joined = ops.relu(ops.reshape(state, (-1, *known.shape[1:])) + known)
    return joined + hidden(joined)


def spread_quantiles(raw: Tensor, quantile_levels: list[float], ops: Ops) -> Tensor:
    """Quantiles that cannot cross: the median, and positive distances outward from it.

    Where `raw` is 0 they are those of the standard normal distribution, so that an untrained network errs like one
    whose errors are as large as its unit says.

    Args:
        raw: Shape (..., level), unbounded.
        quantile_levels: Ascending, with 0.5.
        ops: What computes.

    Returns:
        Shape (..., level), ascending.
    """
    middle = quantile_levels.index(0.5)
    normal = np.array([NormalDist().inv_cdf(level) for level in quantile_levels])
    gaps = np.concatenate([np.diff(normal)[:middle], [1.0], np.diff(normal)[middle:]])
    # The inverse of softplus. The median's own entry is not used: its row below is empty.
    at_zero = np.log(np.expm1(gaps)).astype(np.float32)
    outward = np.zeros((len(gaps), len(gaps)), np.float32)
    for place in range(len(gaps)):
        if place < middle:
            outward[place, : place + 1] = -1
        elif place > middle:
            outward[place, place:] = 1
    # One matrix product adds up the distances on both sides.
    return raw[..., middle : middle + 1] + ops.matmul(ops.softplus(raw + at_zero), outward)
