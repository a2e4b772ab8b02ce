"""The columns of quantiles: `q0_05` holds the forecast of level 0.05."""

from __future__ import annotations


def quantile_column(level: float) -> str:
    """The column of a quantile level.

    Raises:
        ValueError: where the level is not between 0 and 1.

    >>> quantile_column(0.05), quantile_column(0.5), quantile_column(0.975)
    ('q0_05', 'q0_5', 'q0_975')
    """
    digits = f"{level:.10f}".rstrip("0")
    if not 0.0 < level < 1.0 or digits == "0." or digits.startswith("1"):
        raise ValueError(f"A quantile level lies between 0 and 1, but this one is {level}. Write 0.9, not 90 or P90.")
    return "q" + digits.replace(".", "_")


def quantile_level(column: str) -> float:
    """The level of a quantile column.

    >>> quantile_level("q0_05")
    0.05
    """
    return float(column[1:].replace("_", "."))


def is_quantile_column(name: str) -> bool:
    """Whether a column holds a quantile: `q0_05` does, `quality` does not.

    >>> is_quantile_column("q0_05"), is_quantile_column("quality")
    (True, False)
    """
    return name.startswith("q0_") and name[3:].isdigit()
