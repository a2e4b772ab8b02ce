"""What the page of a night is made from: what that night knew, however late the page is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sql.output import write
from tasks.night.ledger import Ledger
from tasks.report.write import read_record

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)


def test_the_page_of_a_past_night_shows_the_alerts_that_were_open_then(places):
    for segment, opened, closed in (("over", -5, 0), ("open", -5, None), ("closed later", -5, 2), ("later", 1, None)):
        row = {"job": "sales", "segment": segment, "signal": "loss", "opened_at": NIGHT + timedelta(days=opened)}
        end = {"state": "open"} if closed is None else {"state": "closed", "closed_at": NIGHT + timedelta(days=closed)}
        write.upsert_alerts(places.engine(), [row | end])
    shown = {alert["segment"] for alert in read_record(places, Ledger(places), NIGHT, "r1").alerts}
    assert shown == {"open", "closed later"}
