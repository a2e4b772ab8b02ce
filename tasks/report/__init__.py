"""The page of a night: what it says, how it is drawn, and writing it."""

from tasks.report.write import write_report

__all__ = ["write_report"]
