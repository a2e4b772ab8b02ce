from __future__ import annotations

from models.member import Member
from tasks import keras_import


def test_numpy_forecasts_where_there_is_no_gpu_or_none_is_to_be_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(keras_import, "GPU_DRIVER", tmp_path / "none")
    assert keras_import.quantiles_of() is Member.quantiles
    monkeypatch.setattr(keras_import, "GPU_DRIVER", tmp_path)
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert keras_import.quantiles_of() is Member.quantiles


def test_keras_forecasts_where_there_is_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(keras_import, "GPU_DRIVER", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert keras_import.quantiles_of().__module__ == "models.keras_member"
