from __future__ import annotations

import signal
import threading

import pytest

from tasks.interrupts import InterruptsHeldBack


@pytest.fixture
def terminates():
    """SIGTERM raises SystemExit and SIGINT KeyboardInterrupt, as long as the test runs.

    A shell that starts the tests in the background lets them ignore SIGINT.
    """

    def end(number, frame):
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, end), signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_the_first_signal_arrives_at_the_end(terminates, number, error):
    held = InterruptsHeldBack()
    held.begin()
    held.begin()
    signal.raise_signal(number)
    with pytest.raises(error):
        held.end()
    assert not held.is_broken
    with pytest.raises(error):
        signal.raise_signal(number)


def test_the_second_signal_arrives_at_once_and_none_afterwards(terminates):
    held = InterruptsHeldBack()
    held.begin()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    assert held.is_broken
    held.end()


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        held = InterruptsHeldBack()
        held.begin()
        signal.raise_signal(signal.SIGTERM)
        held.end()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_leaves_the_signals_as_they_are():
    before = signal.getsignal(signal.SIGINT)
    held = InterruptsHeldBack()
    thread = threading.Thread(target=held.begin)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
    held.end()
