from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from models.network.features import flatten
from models.network.plan import Plan
from models.network.vocabulary import Vocabulary
from models.network.windows import gather
from models.training.keras_network import RecurrentForecaster, pinball


@pytest.fixture
def batch(weekly_panel, make_plan):
    window = make_plan().window
    arrays = flatten(weekly_panel, Vocabulary.of(weekly_panel), level_window=7, scale_window=14, window=window)
    flat = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    series = np.arange(len(weekly_panel), dtype=np.int32)
    origin = (weekly_panel.offsets[1:] - 1).astype(np.int32)

    def of(plan: Plan, origins: int = 1):
        return gather(
            flat, ops.convert_to_tensor(series), ops.convert_to_tensor(origin), plan.window, origins=origins, ops=ops
        )

    return of


def network(plan, **options):
    return RecurrentForecaster(plan, Vocabulary(), **options)


@pytest.fixture
def weeks(make_plan):
    return make_plan


@pytest.fixture
def days(make_plan):
    """A window of days, read as tokens, as the product's first networks read it."""

    def of(**facts):
        return make_plan(
            **{
                "segment": 1,
                "recurrent_steps": 14,
                "horizon": 10,
                "cycles": (1,),
                "head": (),
                "tokens": (1_000, 64),
                "calendar": False,
                "residual": False,
                "quantile_levels": (0.5,),
                **facts,
            }
        )

    return of


@pytest.mark.parametrize(
    ("layers", "weights"), [((("lstm", 128),), 164_106), ((("gru", 256), ("simple_rnn", 128)), 361_866)]
)
def test_the_founding_stacks_have_the_weights_that_were_counted_by_hand(batch, days, layers, weights):
    plan = days(layers=layers)
    net = network(plan)
    assert net(batch(plan)).shape == (20, 1, 10, 1)
    assert net.count_params() == weights


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("head", [None, (), (16,)])
def test_any_stack_forecasts_every_step_and_level_from_every_origin(batch, weeks, cell, depth, head):
    plan = weeks(layers=((cell, 8),) * depth, head=head)
    net = network(plan)
    assert net(batch(plan, origins=4)).shape == (20, 4, 7, 3)


def test_quantiles_do_not_cross_whatever_the_weights(batch, weeks):
    plan = weeks(head=(), quantile_levels=(0.01, 0.1, 0.5, 0.8, 0.99))
    net = network(plan)
    net(batch(plan))
    random = np.random.default_rng(0)
    net.set_weights([random.normal(0, 3, size=weight.shape) for weight in net.get_weights()])
    predicted = ops.convert_to_numpy(net(batch(plan)))
    # Up to the rounding of sums of positive distances, which the forecaster takes out.
    assert (np.diff(predicted, axis=-1) >= -1e-6 * np.abs(predicted).max()).all()


def test_an_untrained_network_forecasts_the_mean_of_its_lags_and_level(batch, weeks):
    net, window = network(weeks()), batch(weeks())
    predicted = ops.convert_to_numpy(net(window))[:, 0, :, 1]
    level, scale = (ops.convert_to_numpy(window[name])[:, -1, None, None] for name in ("level", "scale"))
    lags = ops.convert_to_numpy(window["lags"])[:, 0]
    lag_level, lag_scale = (ops.convert_to_numpy(window[name])[:, 0, None] for name in ("lag_level", "lag_scale"))
    plain, detrended = (lags - level) / scale, ((lags - lag_level) / lag_scale)[..., 1:]
    newest = plain[..., :1]
    change = ops.convert_to_numpy(window["change"])[:, -1, None, :]
    drift, smoothed = (ops.convert_to_numpy(window[name])[:, 0, None] for name in ("drift", "smoothed"))
    smoothed = np.repeat(smoothed, plain.shape[1], axis=1)
    profile = (ops.convert_to_numpy(window["profile"])[:, 0] - level) / scale
    parts = [plain, detrended, newest + change, newest + drift, smoothed, profile, np.zeros_like(newest)]
    candidates = np.concatenate(parts, axis=-1)
    # One over the fourth power of the recent error.
    weight = ops.convert_to_numpy(window["candidate_error"])[:, 0, None].astype(np.float64)
    weight = np.exp(-4 * weight)
    expected = (weight * candidates).sum(-1) / weight.sum(-1)
    np.testing.assert_allclose(predicted, expected, rtol=1e-3, atol=1e-4)


def test_an_untrained_network_expects_errors_as_large_as_the_seasonal_naive_made(batch, weeks):
    net, window = network(weeks()), batch(weeks())
    predicted = ops.convert_to_numpy(net(window))[:, 0]
    error = ops.convert_to_numpy(window["error"])[:, -1]
    # The standard normal distribution's quantiles at 0.05 and 0.9.
    np.testing.assert_allclose(
        predicted[..., 0] - predicted[..., 1], -1.644854 * error + 0 * predicted[..., 0], rtol=1e-3
    )
    np.testing.assert_allclose(
        predicted[..., 2] - predicted[..., 1], 1.281552 * error + 0 * predicted[..., 0], rtol=1e-3
    )


def test_the_state_shifts_the_weights_of_the_lags_once_it_has_learnt_to(batch, weeks):
    window = batch(weeks())
    fixed, shifting = (network(weeks(mix_by_state=by_state)) for by_state in (False, True))
    assert fixed(window).shape == shifting(window).shape
    assert shifting.count_params() - fixed.count_params() == 8 * (weeks().window.candidate_count + 1)
    assert fixed.lag_mix.shift is None


def test_rolled_and_unrolled_steps_agree(batch, weeks):
    plan = weeks(layers=(("gru", 8), ("lstm", 8)))
    rolled, unrolled = (network(plan, unroll=unroll) for unroll in (False, True))
    window = batch(plan)
    rolled(window), unrolled(window)
    unrolled.set_weights(rolled.get_weights())
    np.testing.assert_allclose(
        ops.convert_to_numpy(rolled(window)), ops.convert_to_numpy(unrolled(window)), rtol=1e-5, atol=1e-6
    )


def test_tokens_tell_values_apart_and_know_what_is_not_observed(batch, days):
    plan = days(layers=(("lstm", 8),))
    net, window = network(plan), batch(plan)
    blind = {**window, "observed": ops.zeros_like(window["observed"])}
    higher = {**window, "segments": window["segments"] * 1.5}
    # Forecasts count in units of the series' own error, which are not what is asked about here.
    unit = ops.min(window["error"][:, -1:], axis=-1)[..., None, None]
    seen, unseen, moved = (ops.convert_to_numpy(net(each) / unit) for each in (window, blind, higher))
    assert not np.allclose(seen, moved)
    # Without values, and without an identity, every series looks the same.
    np.testing.assert_allclose(unseen, np.broadcast_to(unseen[:1], unseen.shape), rtol=1e-5)


def test_the_pinball_loss_is_the_one_worked_by_hand():
    loss = pinball(np.array([[10.0]]), np.array([[[8.0, 12.0]]]), np.array([0.1, 0.5]))
    # 0.1 * 2 below its target, 0.5 * 2 above: their mean.
    np.testing.assert_allclose(ops.convert_to_numpy(loss), [[0.6]])
