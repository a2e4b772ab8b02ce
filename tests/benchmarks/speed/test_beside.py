"""How rates of two products become ratios."""

from __future__ import annotations

from benchmarks.speed.beside import compare, ratio_to_better, until_better, worst


def test_ratios_are_of_medians_and_none_where_something_was_not_measured() -> None:
    def turn(own: float | None, theirs: float) -> tuple[dict[str, float | None], dict[str, float | None]]:
        return {"steps_per_second": own}, {"steps_per_second": theirs}

    rates = {"train_steps": "steps_per_second"}
    # The machine was slow in the last turn.
    turns = [turn(9.0, 4.0), turn(8.0, 5.0), turn(2.0, 1.0)]
    assert compare("equal", turns, rates) == {
        "train_steps_ratio_equal": 2.0,
        "equal_steps_per_second": 8.0,
        "neuralforecast_equal_steps_per_second": 4.0,
    }
    assert compare("equal", [turn(None, 4.0)], rates)["train_steps_ratio_equal"] is None


def test_the_first_training_that_got_better_counts_and_none_follows() -> None:
    trainings = iter([(3.0, 1.6), (6.0, 1.45), (12.0, 1.40)])
    tried = list(until_better(1.5, trainings))
    assert tried == [(3.0, 1.6), (6.0, 1.45)]
    assert ratio_to_better(120.0, 1.5, tried) == 20.0
    assert ratio_to_better(120.0, 1.4, tried) is None
    assert next(trainings) == (12.0, 1.40)


def test_the_lowest_ratio_stands_for_all_sets() -> None:
    figures = {"a.time_to_better_ratio": 12.0, "b.time_to_better_ratio": 9.0, "b.other": 1.0}
    assert worst(figures, "time_to_better_ratio") == 9.0
    assert worst({**figures, "c.time_to_better_ratio": None}, "time_to_better_ratio") is None
