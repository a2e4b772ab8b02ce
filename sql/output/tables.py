"""All tables that a job writes, as they are after the newest migration."""

from sql.output.evaluation_tables import alert, anomaly, anomaly_rate, hindcast_loss, loss, score
from sql.output.forecast_tables import FORECAST_COLUMNS, actual, calibration, forecast, publication, scenario
from sql.output.model_tables import model, promotion, run
from sql.output.owner import job
from sql.output.schema import metadata

__all__ = [
    "FORECAST_COLUMNS", "actual", "alert", "anomaly", "anomaly_rate", "calibration", "forecast", "hindcast_loss", "job",
    "loss", "metadata", "model", "promotion", "publication", "run", "scenario", "score",
]  # fmt: skip
