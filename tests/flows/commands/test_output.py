"""Output that cannot be printed: a night that was published must not end as if it had failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# A verb as the real ones are: it logs, draws a bar, and answers with characters that not every terminal has.
_VERB = """
import logging, sys
import click
from flows.commands.answer import Answer, AnsweringGroup, answers

@click.group(cls=AnsweringGroup)
def main(): pass

@main.command()
@answers
def night():
    logging.getLogger("nightcast").warning("Málaga → 3 €")
    with click.progressbar(range(3), file=sys.stderr, label="épocas €") as bar:
        list(bar)
    return Answer("Málaga → 3 €\\n" * 20_000, {"store": "Málaga → 3 €"})

@main.command()
@answers
def show():
    return Answer("Málaga → 3 €", {"store": "Málaga → 3 €"}, only_shows=True)

@main.command()
@answers
def fail():
    raise RuntimeError("Málaga → 3 €")

main()
""".encode("ascii", "backslashreplace").decode()


def run(verb: str, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb in a shell, with its output redirected."""
    command = f'"$PYTHON" -c "$VERB" {verb} {redirection}'
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    variables = known | {"PYTHON": sys.executable, "VERB": _VERB, "PYTHONPATH": os.getcwd()} | environment
    return subprocess.run(["bash", "-c", command], capture_output=True, env=variables, check=False)


ENVIRONMENTS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"PYTHONIOENCODING": "cp437"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANG": "C"},
    {"LC_ALL": "POSIX", "PYTHONUNBUFFERED": "1"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_a_character_that_the_terminal_does_not_have_fails_no_night(environment):
    done = run("night", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == 20_001
    assert b"Traceback" not in done.stderr
    assert b"laga" in done.stderr
    failed = run("fail", **environment)
    assert (failed.returncode, b"RuntimeError: M" in failed.stderr) == (1, True)


def test_a_character_that_the_terminal_does_not_have_is_printed_as_its_escape():
    done = run("show", PYTHONIOENCODING="latin-1")
    assert done.stdout == "Málaga \\u2192 3 \\u20ac\n".encode("latin-1")


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_json_stays_json_on_every_terminal(environment):
    assert json.loads(run("show", "--json", **environment).stdout) == {"store": "Málaga → 3 €"}


@pytest.mark.parametrize("verb", ["night", "night --json", "show"])
def test_a_reader_that_closes_the_pipe_early_fails_nothing(verb):
    done = run(verb, "| head -c 1 >/dev/null; exit ${PIPESTATUS[0]}")
    assert (done.returncode, b"Traceback" in done.stderr, b"Error" in done.stderr) == (0, False, False)
    # Also where the reader of the log goes, and that of both.
    assert run(verb, "2> >(true)").returncode == 0
    assert run(verb, "2>&1 | true; exit ${PIPESTATUS[0]}").returncode == 0


def test_a_full_disk_under_the_output_is_told_and_fails_no_night():
    done = run("night", "> /dev/full")
    assert done.returncode == 0
    assert b"could not be printed: No space left on device. The work itself is done." in done.stderr
    assert run("night", "2> /dev/full").returncode == 0
    assert run("night", "> /dev/full 2>&1").returncode == 0
    assert run("fail", "2> /dev/full").returncode == 1


@pytest.mark.parametrize("verb", ["show", "show --json", "--help"])
def test_a_verb_that_only_shows_something_fails_where_that_cannot_be_printed(verb):
    done = run(verb, "> /dev/full")
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: The answer could not be printed: No space left on device.\n"


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_fail_nothing(closed):
    assert run("night", closed).returncode == 0
    assert run("fail", closed).returncode == 1
    assert run("nix", closed).returncode == 2


def test_no_file_gets_what_is_printed_on_a_stream_that_was_closed(tmp_path: Path):
    code = _VERB.replace(
        "def night():", "def night():\n    import os; kept = open(os.environ['KEPT'], 'wb'); os.write(2, b'native')"
    )
    done = run("night", "2>&-", VERB=code, KEPT=str(tmp_path / "opened"))
    assert (done.returncode, (tmp_path / "opened").read_bytes()) == (0, b"")


def test_the_real_command_survives_all_of_them_together(tmp_path: Path):
    nightcast = f'"{Path(sys.executable).with_name("nightcast")}"'
    for arguments, code in (("--help", 0), ("run niñez", 2), ("run niñez --json", 2)):
        for redirection in ("| true", "2>&-", "2>/dev/full", ""):
            done = subprocess.run(
                ["bash", "-c", f"{nightcast} {arguments} {redirection}; exit ${{PIPESTATUS[0]}}"],
                capture_output=True,
                cwd=tmp_path,
                env=os.environ | {"PYTHONIOENCODING": "ascii"},
                check=False,
            )
            assert (done.returncode, b"Traceback" in done.stderr) == (code, False), (arguments, redirection)


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-", "<&- >&- 2>&-", "2>&1 | true; exit ${PIPESTATUS[0]}"])
def test_the_process_that_trains_survives_them_too(redirection):
    """A process as `own_process` starts it: it has the night's standard error, and prints there as Keras does."""
    child = (
        "import sys; from tasks.enduring_output import make_output_enduring; make_output_enduring(); "
        "from tasks.quiet_keras import quiet_import; print(1, file=sys.stderr, flush=True); sys.stderr.flush()"
    )
    code = _VERB.replace(
        "def night():",
        f"def night():\n    import subprocess; subprocess.run([sys.executable, '-c', {child!r}], check=True)",
    )
    assert run("night", redirection, VERB=code).returncode == 0
