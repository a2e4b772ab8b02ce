"""What a night's training is told about the trainings before it."""

from __future__ import annotations

from datetime import timedelta

from sql.output import write
from tasks.training.fit_model import steps_before

DAY = timedelta(days=1)


def test_a_training_knows_the_steps_of_the_last_one_of_its_mode(places, make_night):
    night = make_night()
    assert steps_before(night, "scratch") == []

    def add(name, age, metrics):
        until = night.cutoff - age * DAY
        write.add_model(places.engine(), "sales", name, until, until, f"file:///{name}", name, metrics)

    add("v1", 3, {"mode": "scratch", "steps_in_time": [300, 424]})
    add("v2", 2, {"mode": "scratch", "steps_in_time": [600, 424]})
    add("v3", 1, {"mode": "warm", "steps_in_time": [150, 150]})
    # Of a release that kept no steps, and of a night that is later than this one.
    add("v4", 40, {"mode": "old"})
    add("v5", -1, {"mode": "scratch", "steps_in_time": [212, 212]})
    assert steps_before(make_night(), "scratch") == [600, 424]
    assert steps_before(make_night(), "warm") == [150, 150]
    assert steps_before(make_night(), "old") == []
