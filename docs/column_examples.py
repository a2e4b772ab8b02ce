"""An example value of every column, as a person sees it; mostly of a night of the demo."""

from __future__ import annotations

_CUTOFF, _ADDED = "2025-02-27 23:00:00", "2025-03-01 02:00:04"
_VERSION, _RUN = "20250227T230000Z-1a2b3c4d", "53bb194b1a904aa08501450f1f415450"

_SHARED = {
    "job": "store-sales",
    "cutoff": _CUTOFF,
    "evaluated_on": _CUTOFF,
    "series_id": "Madrid/coffee",
    "segment": "region=north",
    "run_id": _RUN,
    "model_version": _VERSION,
    "version": _VERSION,
    "timestamp": "2025-02-28 23:00:00",
    "local_time": "2025-03-01 00:00:00",
    "local_date": "2025-03-01",
    "created_at": _ADDED,
    "onset": "2025-02-20 23:00:00",
    "baseline_loss": "0.448",
    "bias": "−0.02",
    "coverage": "0.89",
    "effect": "0.12",
    "instability": "0.18",
    "loss": "0.275",
    "n": "420",
    "special_definition": '{"columns": ["promotion"], "left_out": [], "holidays": ["ES"]}',
    "special_n": "60",
    "special_loss": "0.31",
    "special_baseline_loss": "0.62",
}

_FORECAST = {
    "step": "1",
    "mean": "41.9",
    "median": "41.5",
    "baseline": "39.0",
    "source": "model",
    "reason": "2 observed values; min_history is 3",
}

EXAMPLES: dict[str, dict[str, str]] = {
    "actual": {"value": "44.0", "evaluated_on": "2025-02-28 23:00:00"},
    "alert": {
        "signal": "loss",
        "opened_at": _CUTOFF,
        "state": "open",
        "message": "store-sales, region=north: loss 12 % worse since 2025-02-20",
        "last_sent_at": "2025-03-01 02:00:09",
        "acknowledged_by": "ana",
        "acknowledged_at": "2025-03-01 08:12:30",
        "closed_at": "2025-03-09 23:00:00",
        "reason": "the source is stale",
        "delivery_errors": '{"webhook": "it answered 500"}',
        "message_id": "5b1d7c1e-3f0a-5c58-9d57-6f2a8f0c9a11",
        "accepted_at": "2025-03-01 08:12:30",
    },
    "anomaly": {
        "actual": "96.0",
        "expected": "41.5",
        "probability": "0.00004",
        "direction": "above",
        "since": "2025-02-28 23:00:00",
        "evaluated_on": "2025-02-28 23:00:00",
    },
    "anomaly_rate": {
        "rate": "0.001",
        "actuals": "420",
        "anomalies": "1",
        "state": "ok",
        "tail_counts": '{"0": 9, "1": 12, "3": 7, …}',
    },
    "calibration": {"applied_calibration": "`PK…`, 4 kB", "coverage_evidence": "`PK…`, 9 kB"},
    "forecast": _FORECAST,
    "forecast_vs_actual": _FORECAST
    | {"actual": "44.0", "error": "−2.5", "inside": "true", "evaluated_on": "2025-02-28 23:00:00"},
    "hindcast_loss": {"in_sample": "false"},
    "job": {
        "file": "/srv/nightcast/store-sales.yaml",
        "machine": "night",
        "url": "${SOURCE_URL}",
        "address": "postgresql://database/shop",
        "relation": "table observations",
        "output": "postgresql://database/forecasts",
        "since": "2024-11-02 02:00:04",
    },
    "latest_forecast": _FORECAST,
    "loss": {
        "metric": "scaled quantile loss",
        "statistic": "1.3",
        "threshold": "1",
        "state": "degraded",
        "detectable_effect": "0.08",
        "reason": "no new actual has arrived",
        "other_signals": '{"bias": {"state": "ok", "statistic": 0.3, …}, …}',
    },
    "model": {
        "trained_until": _CUTOFF,
        "stage": "champion",
        "promoted_at": _ADDED,
        "metrics": '{"mode": "scratch", "steps": 1200, …}',
        "uri": f"file:///srv/nightcast/versions/store-sales/{_VERSION}",
        "digest": "1a2b3c4d945dfd5c…",
        "served_from": _CUTOFF,
        "reason": "the job's first version",
    },
    "promotion": {
        "champion_version": "20250127T230000Z-9e8d7c6b",
        "held_out": "false",
        "champion_loss": "0.291",
        "champion_coverage": "0.9",
        "log_ratio": "0.057",
        "segment_sums": '{"all": [420, 115.5, 122.2, 374, 378]}',
        "nights": "12",
        "e_value": "4.2",
        "champion_e_value": "0.3",
        "effect": "−0.055",
        "worst_segment": "region=north",
        "worst_effect": "−0.01",
        "action": "wait",
        "reason": "the evidence is 4.2 of 20",
    },
    "publication": {
        "rows": "420",
        "first_timestamp": "2025-02-28 23:00:00",
        "last_timestamp": "2025-03-27 23:00:00",
        "published_at": _ADDED,
        "digest": "ade04d7e958b32d7…",
    },
    "run": {
        "started_at": _ADDED,
        "finished_at": "2025-03-01 02:00:11",
        "state": "completed",
        "train_mode": "load",
        "train_reason": f"{_VERSION} is 7 days old and knows the series",
        "rows_read": "13680",
        "series": "15",
        "fallback_series": "0",
        "seconds": '{"read": 0.21, "audit": 0.03, …}',
        "error": "The disk is full.",
        "report": "/srv/nightcast/reports/store-sales/2025-02-27T230000Z.html",
        "note": "one night was missed",
        "kind": "nightly",
        "publishing": "NULL",
    },
    "scenario": {
        "scenario": "promotion=1 at steps 1-7",
        "step": "1",
        "set_values": '{"promotion": 1.0}',
        "mean": "69.4",
        "median": "69.0",
        "base_median": "59.1",
        "created_by": "ana",
    },
    "score": {"step": "0", "metric": "mae", "value": "3.1", "baseline_value": "4.4"},
}


def example_of(table: str, column: str) -> str:
    """The example of a column.

    Raises:
        KeyError: the column has none; add it above.
    """
    examples = _SHARED | EXAMPLES[table]
    return examples[column]
