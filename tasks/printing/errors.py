"""Exceptions without secrets: whoever catches, prints or stores them later need not know of any."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar

from sql.secrets.known import hide
from tasks.printing.safe import safe_text, without_secrets

P = ParamSpec("P")
R = TypeVar("R")


class HiddenError(Exception):
    """Stands for an error whose message holds a secret that cannot be taken out of it."""


def clean_error(error: BaseException) -> BaseException:
    """The same exception with its texts, notes, causes and contexts without secrets.

    Returns:
        The exception itself, so that its class still says whether to try again; `HiddenError` where it builds its
        message from what cannot be changed.
    """
    return _clean(error, set())


@contextmanager
def clean_errors() -> Iterator[None]:
    """Raise what the block raises, without secrets."""
    try:
        yield
    except BaseException as error:
        clean = clean_error(error)
        if clean is error:
            raise
        raise clean from None


def raises_no_secrets(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose exceptions hold no secrets."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with clean_errors():
            return function(*args, **kwargs)

    return call


def safe_traceback(error: BaseException) -> str:
    """The traceback of an exception as it may be printed."""
    return safe_text("".join(traceback.format_exception(error)))


def _clean(error: BaseException, seen: set[int]) -> BaseException:
    if id(error) in seen:
        return error
    seen.add(id(error))
    # An exception of any kind may refuse any change.
    with suppress(Exception):
        args = tuple(_cleaned(each, seen) for each in error.args)
        if any(new is not old for new, old in zip(args, error.args, strict=True)):
            error.args = args
    for name in ("strerror", "filename", "filename2", "msg", "reason", "object"):
        value = getattr(error, name, None)
        if isinstance(value, str) and hide(value) != value:
            with suppress(Exception):
                setattr(error, name, hide(value))
    for name, value in list(getattr(error, "__dict__", {}).items()):
        with suppress(Exception):
            cleaned = _cleaned(value, seen)
            if cleaned is not value:
                setattr(error, name, cleaned)
    for each in getattr(error, "exceptions", ()):
        if isinstance(each, BaseException):
            _clean(each, seen)
    if error.__cause__ is not None:
        # Setting a cause hides the context, as `raise ... from` does.
        hides_context, cause = error.__suppress_context__, _clean(error.__cause__, seen)
        error.__cause__, error.__suppress_context__ = cause, hides_context
    if error.__context__ is not None:
        error.__context__ = _clean(error.__context__, seen)
    return error if _is_clean(error) else _stand_in(error)


def _cleaned(value: Any, seen: set[int]) -> Any:
    if isinstance(value, BaseException):
        return _clean(value, seen)
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        return value if hide(text) == text else hide(text).encode()
    cleaned = without_secrets(value) if isinstance(value, str | list | tuple | dict) else value
    return value if cleaned == value else cleaned


def _is_clean(error: BaseException) -> bool:
    try:
        text = f"{error}\n{error!r}"
    except Exception:
        return True
    return hide(text) == text


def _stand_in(error: BaseException) -> BaseException:
    """An exception of the same class with the message alone, if the class allows that."""
    message = hide(str(error))
    for args in (error.args, (message,)):
        with suppress(Exception):
            plain = type(error)(*args)
            if _is_clean(plain):
                return plain.with_traceback(error.__traceback__)
    return HiddenError(f"{type(error).__name__}: {message}").with_traceback(error.__traceback__)
