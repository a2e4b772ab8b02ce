"""JSON without NaN, which the standard does not have: a figure that was not measured is written as null."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import Any

from sql.secrets.known import hide


def strict_json(document: Any) -> str:
    """A document as JSON that every reader accepts.

    Args:
        document: Mappings, lists, texts and numbers. Dates are written as ISO texts, anything else as `str` gives it.

    Returns:
        The text; NaN and infinity are null.

    >>> strict_json({"loss": float("nan"), "day": date(2024, 3, 1)})
    '{"loss": null, "day": "2024-03-01"}'
    """
    return json.dumps(_finite(document), default=_text, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else hide(str(value))
