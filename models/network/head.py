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

from models.network.windows import Ops, Tensor
from models.trailing.candidates import CANDIDATE_LIMIT
from models.trailing.window_shape import WindowShape


def scaled_lags(batch: dict[str, Tensor], window: WindowShape, origins: int, ops: Ops) -> tuple[Tensor, Tensor]:
    """The candidates for the median of each step, relative to the origin's level and in its scale.

    Side by side, in the order of `Candidates`: each seasonal lag as it was; each older lag relative to the level and
    scale of its own cycle, which shows the season without the trend; the newest lag of each season, moved by the change
    since a season ago; the same, moved by each smoothed change; each smoothed level; each profile.

    Returns:
        Values, 0 where not observed, and whether they were observed; (window, origin, horizon, column) each.
    """
    level, scale = (batch[name][:, -origins:, None, None] for name in ("level", "scale"))
    lags, observed = batch["lags"], batch["lags_observed"]
    plain = (lags - level) / scale
    newest, newest_observed = _columns(plain, window.newest, ops), _columns(observed, window.newest, ops)
    parts, seen = [plain], [observed]
    if window.older:
        of_cycle, in_scales = (
            _columns(batch[name], window.older, ops)[:, :, None] for name in ("lag_level", "lag_scale")
        )
        parts.append((_columns(lags, window.older, ops) - of_cycle) / in_scales)
        seen.append(_columns(observed, window.older, ops))
    parts.append(newest + batch["change"][:, -origins:, None])
    seen.append(newest_observed)
    seasons = len(window.seasons)
    for column in range(0, seasons * len(window.smoothing), seasons):
        parts.append(newest + batch["drift"][:, :, None, column : column + seasons])
        seen.append(newest_observed)
    if window.smoothing:
        levels = ops.repeat(batch["smoothed"][:, :, None], window.horizon, axis=2)
        parts.append(levels)
        seen.append(ops.ones_like(levels))
    if window.profile_seasons:
        parts.append((batch["profile"] - level) / scale)
        seen.append(batch["profile_observed"])
    candidates = ops.clip(ops.concatenate(parts, axis=-1), -CANDIDATE_LIMIT, CANDIDATE_LIMIT)
    known = ops.concatenate(seen, axis=-1)
    return candidates * known, known


def _columns(values: Tensor, which: list[int], ops: Ops) -> Tensor:
    return ops.stack([values[..., place] for place in which], axis=-1)


def mix_lags(logits: Tensor, lags: Tensor, observed: Tensor, ops: Ops) -> Tensor:
    """The weighted mean of simple forecasts and the level; with equal logits, the plain mean of those observed.

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
