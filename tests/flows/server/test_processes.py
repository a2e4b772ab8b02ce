"""Who started whom, and how they are ended: with real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flows.server.processes import children, descendants, end

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True)
print(child.pid, child.stdout.readline().decode().strip(), flush=True)
sys.stdin.read()
"""
WILLING = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WILLING


@pytest.mark.parametrize("kind", [WILLING, STUBBORN])
def test_a_process_in_a_session_of_its_own_is_found_and_ended(kind):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline().split()[0])
        assert children([parent.pid]) == descendants([parent.pid]) == {child}
        end({child}, patience=0.5 if kind is STUBBORN else 20)
        assert descendants([parent.pid]) == set()
        parent.stdin.close()
    # Whoever is gone already is no error.
    end({child}, patience=0.5)
