"""Exceptions of every kind lose their secrets and nothing else."""

from __future__ import annotations

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from sql.errors import StorageError, Unreachable
from sql.secrets.known import remember
from tasks.printing.errors import HiddenError, clean_error, clean_errors, raises_no_secrets, safe_traceback

SECRET = "p@ss/hunter2"


class _Stubborn(Exception):
    def __str__(self) -> str:
        return f"no login with {SECRET}"


def _chained() -> Exception:
    try:
        try:
            raise OSError(2, f"no such file {SECRET}", f"/x/{SECRET}")
        except OSError as cause:
            raise StorageError(f"could not read {SECRET}") from cause
    except StorageError as error:
        error.add_note(f"with {SECRET}")
        return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"wrong: {SECRET}"),
        KeyError(SECRET),
        OSError(13, f"denied {SECRET}", f"/data/{SECRET}"),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, f"in {SECRET}"),
        Unreachable(f"no answer of {SECRET}", f"postgresql://me:{SECRET}@host"),
        psycopg.OperationalError(f"connection with {SECRET} failed"),
        sa.exc.OperationalError(f"SELECT '{SECRET}'", {"password": SECRET}, Exception(f"driver: {SECRET}")),
        httpx.ConnectError(f"no route to {SECRET}"),
        ExceptionGroup("two", [ValueError(SECRET), KeyError(SECRET)]),
        _chained(),
        _Stubborn(),
        KeyboardInterrupt(f"ended by {SECRET}"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_keeps_its_class_and_loses_its_secrets(error):
    remember(SECRET)
    clean = clean_error(error)
    assert isinstance(clean, HiddenError if isinstance(error, _Stubborn) else type(error))
    for text in (str(clean), repr(clean), safe_traceback(clean)):
        assert "hunter2" not in text
    assert "***" in safe_traceback(clean)


def test_an_exception_without_secrets_stays_the_same_object():
    remember(SECRET)
    error = OSError(2, "No such file or directory", "/data/x")
    assert clean_error(error) is error
    assert str(error) == "[Errno 2] No such file or directory: '/data/x'"


def test_what_a_block_or_a_function_raises_is_clean_and_what_it_returns_stays():
    remember(SECRET)

    @raises_no_secrets
    def fail(text: str) -> str:
        if text:
            raise ValueError(text)
        return SECRET

    assert fail("") == SECRET
    with pytest.raises(ValueError, match=r"^\*\*\*$"):
        fail(SECRET)
    with pytest.raises(HiddenError, match=r"_Stubborn: no login with \*\*\*"), clean_errors():
        raise _Stubborn
