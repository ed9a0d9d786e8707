"""Code that does not end is ended, and named."""

import contextlib
import time

import pytest

from ncgopt.errors import Usage
from ncgopt.runtime.blackbox import BlackBox
from ncgopt.runtime.watchdog import StepEnded, Watchdog


def forever():
    while True:
        pass


def stubborn():
    """Eats the first exception, as a bare `except` in foreign code would."""
    try:
        forever()
    except BaseException:
        forever()


@pytest.mark.parametrize("loop", [forever, stubborn])
def test_a_python_loop_ends_and_the_rule_is_named(loop):
    watchdog = Watchdog()
    start = time.monotonic()

    def step():
        watchdog.enter("fuse-gelu")
        loop()

    with pytest.raises(StepEnded, match=r"fuse-gelu: out of time \(0.2 s\)"):
        watchdog.run("rules", 0.2, step)
    assert time.monotonic() - start < 5
    assert watchdog.doing == ""


def test_what_ends_in_time_is_left_alone():
    watchdog = Watchdog()
    for _ in range(200):
        assert watchdog.run("quick", 1.0, lambda: 3) == 3
    time.sleep(0.01)  # nothing arrives late


def test_an_end_at_the_last_moment_is_one_or_the_other():
    """The exception never arrives outside of the step, however close the race."""
    watchdog = Watchdog()

    def step(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    for close in range(200):
        with contextlib.suppress(StepEnded):
            watchdog.run("close", 0.002, lambda close=close: step(0.0015 + close * 5e-6))
    time.sleep(0.01)


@pytest.mark.parametrize(("kind", "says"), [(MemoryError, "out of memory"), (RecursionError, "nested too deeply")])
def test_exhaustion_is_an_end_too(kind, says):
    def greedy():
        raise kind

    with pytest.raises(StepEnded, match=says):
        Watchdog().run("greedy", 5.0, greedy)


def test_other_errors_pass_through():
    def step():
        raise Usage("no")

    with pytest.raises(Usage):
        Watchdog().run("step", 5.0, step)


def test_the_black_box_tells_another_reader_what_runs_and_how_late_it_is(tmp_path, monkeypatch):
    writer, reader = BlackBox(tmp_path / "box"), BlackBox(tmp_path / "box")
    monkeypatch.setattr(Watchdog, "box", writer)
    watchdog = Watchdog()
    assert reader.read().doing == ""

    def step():
        watchdog.enter("fuse-é")
        entry = reader.read()
        assert entry.doing == "fuse-é"
        assert -10.0 < entry.late < -5.0

    watchdog.run("rules", 10.0, step)
    assert (reader.read().doing, reader.read().late) == ("", None)
    writer.close()
    reader.close()
