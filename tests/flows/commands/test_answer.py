"""How verbs answer: words, JSON, exit codes."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner

from flows.commands.answer import Answer, answers, failure, moment_option, outline, table
from models.errors import InputError, ModelError
from sql.errors import SourceError, StorageError
from sql.secrets.known import remember
from tasks.enduring_output import _WithoutSecrets


def verb(body):
    return click.command()(answers(body))


def test_a_verb_answers_in_words():
    result = CliRunner().invoke(verb(lambda: Answer("done", {"n": 1})))
    assert (result.exit_code, result.stdout) == (0, "done\n")


def test_json_is_one_object_and_nothing_else_on_standard_output():
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    result = CliRunner().invoke(verb(lambda: Answer("done", {"at": moment, "loss": float("nan")})), ["--json"])
    assert json.loads(result.stdout) == {"at": "2024-03-01T00:00:00+00:00", "loss": None}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad"), 2),
        (SourceError("bad"), 2),
        (StorageError("bad"), 1),
        (ModelError("bad"), 1),
        (PermissionError("bad"), 1),
        (ValueError("bad"), 1),  # not this project's: a fault in the work, not in the use
    ],
)
def test_an_error_is_one_message_with_the_exit_code_of_its_kind(error, code):
    def fail():
        raise error

    result = CliRunner().invoke(verb(fail), ["--json"])
    assert result.exit_code == code
    assert "bad" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["exit_code"] == code


def test_an_error_from_elsewhere_is_named_with_its_kind():
    assert "KeyError: 'x' (unexpected" in failure(KeyError("x")).text


def test_a_moment_that_does_not_read_is_wrong_use():
    @click.command()
    @moment_option("--cutoff")
    @answers
    def command(cutoff):
        return Answer(cutoff)

    result = CliRunner().invoke(command, ["--cutoff", "yesterday"])
    assert result.exit_code == 2
    assert "'yesterday' is not a timestamp" in result.stderr
    assert CliRunner().invoke(command, ["--cutoff", "2024-03-01"]).stdout == "2024-03-01\n"


def test_a_table_is_aligned_and_shows_what_is_missing():
    assert table([{"a": 1, "b": None}, {"a": 1234.5678, "b": "x"}], ["a", "b"], empty="-") == (
        "a     b\n1     -\n1235  x"
    )
    assert table([], ["a"], empty="Nothing.") == "Nothing."


def test_a_document_is_outlined_without_any_python_in_it():
    made = datetime(2024, 3, 1, 5, tzinfo=UTC)
    document = {
        "version": "v1",
        "created_at": made,
        "promoted_at": None,
        "metrics": {
            "mode": "scratch",
            "loss": 0.123456789,
            "built_for": {"levels": [0.1, 0.9], "members": [{"units": 8}]},
        },
        "segments": [],
        "notes": {},
    }
    assert outline(document) == [
        "version: v1",
        "created_at: 2024-03-01 05:00",
        "promoted_at: -",
        "metrics:",
        "  mode: scratch",
        "  loss: 0.1235",
        "  built_for:",
        "    levels: 0.1, 0.9",
        "    members:",
        "      1:",
        "        units: 8",
        "segments: -",
        "notes: -",
    ]


def test_json_stays_json_whatever_a_secret_is_and_its_texts_hold_none(monkeypatch):
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", _WithoutSecrets(printed, "utf-8", write_through=True))
    for secret in ("123456", "rolled_back", "hunter2-x", '{"text": '):
        remember(secret)
    document = {"value": 123456, "rolled_back": [0.123456], "text": "hunter2-x, 123456"}
    with pytest.raises(SystemExit, match="0"):
        verb(lambda: Answer("", document)).main(["--json"])
    assert json.loads(printed.getvalue()) == {"value": 123456, "rolled_back": [0.123456], "text": "***, ***"}
    # Whatever else is printed is searched as before.
    print("hunter2-x")
    assert printed.getvalue().endswith(b"***\n")
