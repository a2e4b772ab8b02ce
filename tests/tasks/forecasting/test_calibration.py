"""What is kept of calibration in real tables, and read as of a night."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from models.baselines.fallback import Fallback
from models.calibration.calibration import Calibration
from models.calibration.evidence import Evidence
from models.panel.panel import Panel
from sql.output import history, write
from tasks.forecasting.calibration import calibration_for, keep_calibration, keep_evidence, packed, unpacked
from tasks.night.ledger import Ledger

LEVELS = np.array([0.1, 0.5, 0.9])


def day(number: int) -> datetime:
    return datetime(2024, 3, number, tzinfo=UTC)


def panel():
    return Panel(
        values=np.arange(30, dtype=np.float32),
        offsets=np.array([0, 10, 20, 30]),
        series_ids=np.array(["a", "b", "é/1"]),
        frequency="D",
        cutoff_index=19_783,
        season_lengths=(7,),
        horizon=2,
    )


def evidence(evaluations: float) -> Evidence:
    empty = Evidence.empty(LEVELS, 2)
    counts = empty.counts.copy()
    # All actuals far above.
    counts[:, 120] = evaluations
    return replace(empty, counts=counts, evaluations=np.full(2, evaluations), points=np.full(2, evaluations))


def test_a_night_is_calibrated_by_the_newest_evaluation_before_it(places):
    fallback = Fallback.learn(panel(), 2, LEVELS, lower_bound=0.0)
    keep_evidence(Ledger(places), day(3), evidence(30.0))
    keep_evidence(Ledger(places), day(5), evidence(0.0))
    found = {number: calibration_for(Ledger(places), day(number), panel(), fallback) for number in (3, 4, 5, 6)}
    assert [made.positions[0, 1] > 1 for made in found.values()] == [False, True, True, False]
    assert found[4].bounds == (0.0, None)
    assert found[3].description == ""


def test_the_two_columns_of_a_night_are_written_apart(places, make_night, tmp_path):
    made = Calibration.identity(LEVELS, 2, panel().series_ids)
    file = tmp_path / "calibration.npz"
    file.write_bytes(packed(made.arrays()))
    keep_evidence(Ledger(places), day(3), evidence(1.0))
    keep_calibration(make_night(day(3)), file)
    keep_calibration(make_night(day(4)), None)
    engine = places.engine()
    again = Calibration.from_arrays(unpacked(history.applied_calibration(engine, "sales", day(3))))
    assert again.series_ids.tolist() == ["a", "b", "é/1"]
    np.testing.assert_array_equal(again.positions, made.positions)
    assert history.applied_calibration(engine, "sales", day(4)) is None
    assert history.calibration_evidence(engine, "sales", day(4)) is not None


@pytest.mark.parametrize("stored", [b"", b"noise" * 100, packed({"series_ids": np.array(["a"])})[:-40]])
def test_stored_evidence_that_cannot_be_read_is_left_out_with_a_warning(places, caplog, stored):
    fallback = Fallback.learn(panel(), 2, LEVELS, lower_bound=0.0)
    write.upsert_calibration(places.engine(), {"job": "sales", "cutoff": day(3), "coverage_evidence": stored})
    made = calibration_for(Ledger(places), day(4), panel(), fallback)
    np.testing.assert_array_equal(made.positions, Calibration.identity(LEVELS, 2, panel().series_ids).positions)
    assert "calibration.coverage_evidence of 2024-03-04 00:00 is left out: what is stored is no archive" in caplog.text


def test_packed_arrays_are_the_same_bytes_each_time():
    assert packed(evidence(3.0).arrays()) == packed(evidence(3.0).arrays())
    assert unpacked(packed(evidence(0.0).arrays()))["series_ids"].tolist() == []


def test_a_row_without_its_key_is_refused(places):
    with pytest.raises(ValueError, match="lacks keys"):
        write.upsert_calibration(places.engine(), {"job": "sales", "coverage_evidence": b""})
