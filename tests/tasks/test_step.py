"""Steps: the plain function without a flow, a Prefect task in one, the same retries both ways."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.errors import InputError
from sql.errors import StorageError
from tasks.step import is_worth_retrying, step


def failing(times: int, error: Exception, **settings):
    """A step that fails so many times before it gives "done", and the list of its calls."""
    calls = []

    @step("try {what}", **settings)
    def attempt(what):
        calls.append(what)
        if len(calls) <= times:
            raise error
        return "done"

    return attempt, calls


@pytest.fixture
def pauses(monkeypatch):
    made: list[float] = []
    monkeypatch.setattr("tasks.step.time.sleep", made.append)
    return made


def test_a_step_outside_a_flow_is_the_plain_function(pauses):
    attempt, calls = failing(0, StorageError("away"))
    assert attempt("it") == "done"
    assert calls == ["it"]


def test_what_the_outside_failed_at_is_tried_again_after_the_given_seconds(pauses):
    attempt, calls = failing(2, ConnectionError("away"), retries=3, retry_delay_seconds=(2, 10))
    assert attempt("it") == "done"
    assert len(calls) == 3
    assert pauses == [2, 10]


def test_after_the_last_retry_the_error_comes_through(pauses):
    attempt, calls = failing(9, ConnectionError("away"), retries=2, retry_delay_seconds=(1,))
    with pytest.raises(ConnectionError, match="away"):
        attempt("it")
    assert len(calls) == 3
    assert pauses == [1, 1]


@pytest.mark.parametrize("error", [InputError("bad"), PermissionError("no"), KeyError("x"), StorageError("away")])
def test_what_would_fail_again_is_not_tried_again(pauses, error):
    attempt, calls = failing(9, error, retries=3, retry_delay_seconds=(1,))
    with pytest.raises(type(error)):
        attempt("it")
    assert len(calls) == 1


def test_a_lost_connection_is_worth_a_retry_and_a_missing_folder_is_not():
    assert is_worth_retrying(ConnectionResetError("gone"))
    assert is_worth_retrying(TimeoutError("slow"))
    assert not is_worth_retrying(FileNotFoundError("folder"))


def test_a_file_that_is_read_as_a_source_is_worth_a_retry_and_a_database_has_had_its_own():
    of_file, of_database = StorageError("cannot be read"), StorageError("cannot be read")
    of_file.__cause__ = OSError("input/output error")
    of_database.__cause__ = sa.exc.OperationalError("SELECT 1", {}, Exception("away"))
    assert is_worth_retrying(of_file)
    assert not is_worth_retrying(of_database)


def test_the_name_of_no_task_shows_a_list_or_an_object():
    names = 0
    for file in Path(__file__).parents[2].glob("tasks/**/*.py"):
        module = ast.parse(file.read_text(encoding="utf-8"))
        for function in (each for each in ast.walk(module) if isinstance(each, ast.FunctionDef)):
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "step":
                    names += 1
                    kinds = {each.arg: ast.unparse(each.annotation) for each in function.args.args if each.annotation}
                    for _, field, _, _ in string.Formatter().parse(ast.literal_eval(decorator.args[0])):
                        # What stands behind a dot is an attribute, such as a name.
                        assert field is None or "." in field or kinds[field] in ("str", "int"), (file.name, field)
    assert names > 10
