"""The hour that clocks leave out in spring, by which times without a zone show theirs."""

from __future__ import annotations

import numpy as np
import pandas as pd


def skipped_hour(times: pd.DatetimeIndex, zone: str) -> pd.Timestamp | None:
    """The first hour that the clocks of a zone left out and these times leave out too.

    Args:
        times: Shape (n,), local times without a zone, in any order. NaT counts for nothing.
        zone: A time zone of the IANA database.

    Returns:
        None where the clocks left out no hour that has times just before and after it, or where times lie in one: they
        are of another zone, or in UTC.

    >>> hours = pd.date_range("2024-03-30", "2024-04-02", freq="h")
    >>> skipped_hour(hours.delete(26), "Europe/Madrid"), skipped_hour(hours, "Europe/Madrid")
    (Timestamp('2024-03-31 02:00:00'), None)
    """
    present = times.dropna()
    if present.empty:
        return None
    hours = pd.DatetimeIndex(np.unique(present.floor("h")))
    every = pd.date_range(hours[0], hours[-1], freq="h")
    left_out = every[every.tz_localize(zone, nonexistent="NaT", ambiguous=np.ones(len(every), bool)).isna()]
    hour = pd.Timedelta(hours=1)
    around = left_out[(left_out - hour).isin(hours) & (left_out + hour).isin(hours)]
    return None if around.empty or around.isin(hours).any() else around[0]
