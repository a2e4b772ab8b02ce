"""From the state of the recurrent stack to quantiles of every step of the horizon, in scaled units.

`mix_lags` mixes the series' own seasonal lags into the value from which the median differs. `read_steps` joins what
the state says of each step with what is known of the step. `spread_quantiles` turns numbers, one per step and
quantile level, into quantiles that cannot cross. None of them has weights; Keras (`training/keras_head.py`) and NumPy
(`numpy_network.py`) both use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from models.network.windows import Ops, Tensor, WindowShape

# Scaled lags are cut this many scales away.
LAG_LIMIT = 50.0


def lag_columns(window: WindowShape) -> int:
    """Number of columns that `scaled_lags` gives."""
    return 2 * int(window.lags.shape[1]) + len(window.seasons)


def scaled_lags(batch: dict[str, Tensor], window: WindowShape, origins: int, ops: Ops) -> tuple[Tensor, Tensor]:
    """The seasonal naives of each step, relative to the origin's level and in its scale.

    There are three kinds, side by side: each lag as it was; each lag relative to the level and scale of its own cycle,
    which shows the season without the trend; and the newest lag, moved by the change since a season ago.

    Returns:
        Values, 0 where not observed, and whether they were observed; (window, origin, horizon, column) each.
    """
    level, scale = (batch[name][:, -origins:, None, None] for name in ("level", "scale"))
    observed = batch["lags_observed"]
    plain = (batch["lags"] - level) / scale
    detrended = (batch["lags"] - batch["lag_level"][:, :, None]) / batch["lag_scale"][:, :, None]
    moved = _columns(plain, window.newest, ops) + batch["change"][:, -origins:, None]
    lags = ops.clip(ops.concatenate([plain, detrended, moved], axis=-1), -LAG_LIMIT, LAG_LIMIT)
    seen = ops.concatenate([observed, observed, _columns(observed, window.newest, ops)], axis=-1)
    return lags * seen, seen


def _columns(values: Tensor, which: list[int], ops: Ops) -> Tensor:
    return ops.stack([values[..., place] for place in which], axis=-1)


def mix_lags(logits: Tensor, lags: Tensor, observed: Tensor, ops: Ops) -> Tensor:
    """The weighted mean of the seasonal naives and the level; with equal logits, the plain mean of those observed.

    Args:
        logits: Shape (..., horizon, column + 1); the last one is the level's, which is 0 in scaled units.
        lags: Shape (window, origin, horizon, column), 0 where not observed.
        observed: 1 where they were observed, of the same shape.
        ops: The library.

    Returns:
        Shape (window, origin, horizon).
    """
    weight = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    seen = weight[..., :-1] * observed
    return ops.sum(seen * lags, axis=-1) / (ops.sum(seen, axis=-1) + weight[..., -1])


def read_steps(state: Tensor, known: Tensor, hidden: Callable[[Tensor], Tensor], ops: Ops) -> Tensor:
    """The state and what is known of each step, joined by a residual layer.

    Args:
        state: Shape (window, origin, horizon * unit).
        known: What is known of each step, shape (window, origin, horizon, unit).
        hidden: A dense layer whose output has the shape of its input.
        ops: The library.

    Returns:
        Shape (window, origin, horizon, unit).
    """
    joined = ops.relu(ops.reshape(state, (-1, *known.shape[1:])) + known)
    return joined + hidden(joined)


def spread_quantiles(raw: Tensor, quantile_levels: Sequence[float], ops: Ops) -> Tensor:
    """Quantiles that cannot cross: the median, and positive distances outward from it.

    Where `raw` is 0, they are the quantiles of the standard normal distribution: an untrained network expects errors
    of one unit.

    Args:
        raw: Shape (..., level), unbounded.
        quantile_levels: Ascending, with 0.5 among them.
        ops: The library.

    Returns:
        Shape (..., level), ascending.
    """
    middle = quantile_levels.index(0.5)
    normal = np.array([NormalDist().inv_cdf(quantile_level) for quantile_level in quantile_levels])
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
