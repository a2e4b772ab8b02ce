"""What a night says at its end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.night.summary import NightSummary

CUTOFF = datetime(2025, 2, 27, 23, tzinfo=UTC)


def summary(**facts) -> NightSummary:
    return NightSummary(**{"run_id": "r1", "job": "sales", "cutoff": CUTOFF, "series": 60, "tables": "t.db", **facts})


@pytest.mark.parametrize(
    ("messages", "words"), [([], "60 series"), (["a"], "1 alert not delivered"), (["a", "b"], "2 alerts not delivered")]
)
def test_undelivered_alerts_are_counted(messages, words):
    assert summary(undelivered=messages).message.split("; ")[-1] == words
