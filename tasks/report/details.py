"""What the tables do not hold, kept as JSON beside the report: audit, training, network, examples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.arrays import Float32Array
from models.audit.build_panel import Audit
from models.calendar.grid import TimeGrid
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.panel.panel import Panel
from sql.output.quantile_columns import is_quantile_column
from tasks.forecasting.predict import Predicted
from tasks.night.night import Night
from tasks.printing.safe import without_secrets
from tasks.report.shown_series import choose_series_to_show
from tasks.store.panel_file import load_panel
from tasks.store.places import Places, write_whole
from tasks.strict_json import strict_json
from tasks.training.decide import Decision
from tasks.training.night_model import NightModel

_EXAMPLES = 4


@dataclass(frozen=True)
class Details:
    """The results of the steps that the tables do not hold.

    Attributes:
        audit: What was found in the input.
        decision: Whether and how to train.
        model: The model.
        predicted: The forecast.
    """

    audit: Audit
    decision: Decision
    model: NightModel
    predicted: Predicted


def write_details(night: Night, details: Details, seconds: dict[str, float], panel_file: Path) -> Path:
    """Write the details of a night beside its report. They replace those of an earlier run of the same night."""
    content = {
        # Without the targets: the address of a webhook often is a secret.
        "job": night.job.model_dump(mode="json", exclude={"notify"}),
        "run_id": night.run_id,
        "cutoff": night.cutoff.isoformat(),
        "now": night.now.isoformat(),
        "audit": details.audit.to_dict(),
        "decision": {
            "mode": details.decision.mode,
            "reason": "; ".join(filter(None, (details.decision.reason, details.model.failure, details.model.cut))),
        },
        "model_version": details.model.version,
        "training": details.model.training,
        "outcome": details.model.outcome,
        "network": {"summary": details.predicted.summary, "choices": details.predicted.choices},
        "fallback": details.predicted.fallback_reasons,
        "examples": _examples(load_panel(panel_file), details.predicted.file, night.job.aggregation_levels),
        "seconds": seconds,
    }
    file = night.places.details_file(night.cutoff)
    write_whole(file, strict_json(without_secrets(content)))
    return file


def read_details(places: Places, cutoff: datetime) -> dict[str, Any] | None:
    """The details of a night; None if they are not on this machine."""
    file = places.details_file(cutoff)
    if not file.is_file():
        return None
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def history_needed(horizon: int) -> int:
    """How many steps before the cutoff the examples of a night show."""
    return 3 * horizon


def _examples(panel: Panel, night_file: Path, levels: AggregationLevels) -> list[dict[str, Any]]:
    """The total if it is forecast, and a few series of different sizes, each with the end of its history."""
    first = pq.read_table(night_file, columns=["series_id", "source"], filters=[("step", "=", 1)], partitioning=None)
    if levels:
        first = first.filter(pc.is_in(first["series_id"], pa.array(panel.series_ids.tolist())))
    total = None
    if levels.total:
        total = aggregate_panel(panel, Hierarchy.of(panel.series_ids, levels.total))
    source = first.sort_by("series_id")["source"].to_pylist()
    chosen = choose_series_to_show(panel, source, _EXAMPLES - (total is not None))
    names = [str(panel.series_ids[position]) for position in chosen]
    names += [] if total is None else total.series_ids.tolist()
    rows = pq.read_table(night_file, filters=[("series_id", "in", names)], partitioning=None)
    shown = [] if total is None else [_example(total, panel.grid, rows, 0)]
    return shown + [_example(panel, panel.grid, rows, int(position)) for position in chosen]


def _shown_history(values: Float32Array, horizon: int) -> Float32Array:
    """The newest part of a series: three horizons, or back to a horizon of values before it fell silent."""
    observed = np.flatnonzero(np.isfinite(values))
    first = len(values) - history_needed(horizon)
    if len(observed):
        first = min(first, int(observed[-1]) + 1 - horizon)
    return values[max(0, first) :]


def _example(panel: Panel, grid: TimeGrid, rows: pa.Table, position: int) -> dict[str, Any]:
    name = str(panel.series_ids[position])
    own_rows = rows.filter(pc.equal(rows["series_id"], name)).sort_by("step")
    past = _shown_history(panel.series(position), panel.horizon)
    moments = grid.to_utc(panel.cutoff_index + 1 - len(past) + np.arange(len(past)))
    columns = {column: own_rows[column].to_pylist() for column in ("mean", "median", "baseline")}
    return {
        "series_id": name,
        "source": own_rows["source"][0].as_py(),
        "reason": own_rows["reason"][0].as_py() or "",
        "history": {"timestamp": [f"{moment}+00:00" for moment in moments], "value": past.astype(float).tolist()},
        "forecast": {
            "timestamp": [moment.isoformat() for moment in own_rows["timestamp"].to_pylist()],
            **columns,
            "quantiles": {
                column[1:].replace("_", "."): own_rows[column].to_pylist()
                for column in sorted(own_rows.column_names)
                if is_quantile_column(column)
            },
        },
    }
