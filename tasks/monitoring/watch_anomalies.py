"""Open an alert when a night finds more anomalies than chance explains, and close it when one does not."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from models.counted import counted
from tasks.monitoring.episodes import AlertFacts, close_alert, find_alert, is_open, open_alert
from tasks.night.ledger import Row
from tasks.night.night import Night
from tasks.printing.safe import safe_line
from tasks.step import logger, step

SIGNAL, SEGMENT = "anomaly", "all"
_NAMED = 5


@step("watch the anomalies", retries=2, retry_delay_seconds=(2, 10))
def watch_anomalies(night: Night) -> tuple[str, ...]:
    """Keep one alert open for as long as nights find more anomalies than chance explains.

    A night that judged no actual changes nothing, unless the job judges none any more.

    Returns:
        The messages of the alerts that opened or closed tonight.
    """
    ledger, enabled = night.ledger, night.job.anomalies.enabled
    found = find_alert(ledger.alerts(), SEGMENT, SIGNAL, night.cutoff)
    rate = ledger.anomaly_rate_of(night.cutoff) if enabled else None
    if night.is_past or (rate is None and (enabled or not is_open(found))):
        # A past night that runs again says nothing about today.
        return ()
    job = night.job.name
    if rate is not None and rate["state"] == "many":
        key = {"job": job, "segment": SEGMENT, "signal": SIGNAL, "opened_at": night.cutoff}
        alert = open_alert(found, key, _facts(night, rate))
    elif found is not None and is_open(found):
        enough = "no more anomalies than chance explains" if enabled else "actuals are not judged any more"
        alert = close_alert(found, night.cutoff, f"{job}: {enough}")
    else:
        return ()
    ledger.upsert_alerts([alert])
    if night.cutoff not in (alert["opened_at"], alert["closed_at"]):
        return ()
    logger().warning("%s", alert["message"])
    return (str(alert["message"]),)


def _facts(night: Night, rate: Row) -> AlertFacts:
    """What the alert says: how many anomalies there are, to which side, and the five series that explain it most.

    Its effect is the share of the night's actuals that are anomalies, and its onset the oldest of them.
    """
    rows = night.ledger.anomalies_on(night.cutoff)
    expected = rate["actuals"] * rate["rate"]
    message = (
        f"{night.job.name}: {rate['anomalies']:,} of {counted(rate['actuals'], 'actual')} lie where forecasts did not "
        f"expect them; a rate of {rate['rate']:g} explains {expected:,.{0 if expected >= 10 else 1}f}"
    )
    onset: datetime = night.cutoff
    reason = None
    if rows.num_rows:
        above = sum(side == "above" for side in rows["direction"].to_pylist())
        message += f" ({above:,} above, {rows.num_rows - above:,} below)"
        reason = f"the series that explain it most are {', '.join(_leading(rows))}"
        message += f"; {reason}"
        onset = min(rows["timestamp"].to_pylist())
    return AlertFacts(onset, rate["anomalies"] / rate["actuals"], night.run_id, reason, message)


def _leading(rows: pa.Table) -> list[str]:
    """The series whose anomalies are the least probable, taken together; each with the one that is furthest out."""
    names, place = np.unique(np.array(rows["series_id"].to_pylist(), dtype=str), return_inverse=True)
    probability = np.maximum(rows["probability"].to_numpy(), 1e-300)
    actual, expected = rows["actual"].to_numpy(), rows["expected"].to_numpy()
    surprise = np.bincount(place, -np.log(probability), len(names))
    # Where several are as improbable, the largest difference comes first.
    distance = np.zeros(len(names))
    np.maximum.at(distance, place, np.abs(actual - expected))
    told = []
    for series in np.lexsort((-distance, -surprise))[:_NAMED].tolist():
        own = np.flatnonzero(place == series)
        row = own[np.lexsort((-np.abs(actual - expected)[own], probability[own]))[0]]
        told.append(f"{safe_line(str(names[series]))} ({actual[row]:.4g}, expected {expected[row]:.4g})")
    return told
