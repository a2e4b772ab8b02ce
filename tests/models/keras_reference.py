"""What NumPy's forecasts are held against: those of the network that Keras builds and trains."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from models.network.member import Member, in_units
from models.network.windows import Tensor, gather
from models.panel.panel import Panel
from models.training.fit_member import built


def keras_quantiles(member: Member, panel: Panel) -> npt.NDArray[np.float64]:
    """What `Member.quantiles` gives for all series of a panel, shape (series, horizon, level)."""
    panel = panel.newest(member.look_back)
    arrays = member.flatten(panel)
    series, origin = np.arange(len(panel), dtype=np.int32), (panel.offsets[1:] - 1).astype(np.int32)
    network = built(member, panel)

    def forecast(flat: dict[str, Tensor], series: Tensor, origin: Tensor) -> Tensor:
        return network(gather(flat, series, origin, member.window, origins=1, ops=ops), training=False)[:, 0]

    if keras.backend.backend() == "jax":
        import jax

        # Otherwise JAX compiles every operation by itself.
        forecast = jax.jit(forecast)
    flat = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    scaled = forecast(flat, ops.convert_to_tensor(series), ops.convert_to_tensor(origin))
    return in_units(panel, arrays, series, origin, ops.convert_to_numpy(scaled))
