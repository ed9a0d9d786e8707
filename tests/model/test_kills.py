"""A run that is killed leaves the old model or the new one; a few runs of what `make kills` does by the hundred."""

import os
import random
import sys
import time

import pytest
from kills import Kills

from ncgopt.model.files import temporary
from ncgopt.runtime.leftovers import hold, sweep_files, sweep_folders

posix = pytest.mark.skipif(os.name != "posix", reason="kills a process group")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children end with their parent at once on Linux only")
@pytest.mark.parametrize("external", [False, True])
def test_a_killed_run_leaves_one_or_the_other(external, tmp_path):
    kills = Kills(tmp_path, external, random.Random(external))
    for _ in range(3):
        kills.one()
    assert kills.seen["old"] + kills.seen["new"] == 3


@posix
def test_only_what_nobody_holds_is_swept(tmp_path):
    stale = tmp_path / f".ncgopt-{'0' * 16}.tmp"
    stale.write_bytes(b"half a model")
    aged(stale)
    others = [tmp_path / ".ncgopt-notes.tmp", tmp_path / "x.tmp", tmp_path / f".ncgopt-{'1' * 16}.tmp.onnx"]
    for path in others:
        path.write_bytes(b"")
        aged(path)
    link = tmp_path / f".ncgopt-{'2' * 16}.tmp"
    link.symlink_to(others[0])
    with temporary(tmp_path / "m.onnx") as (held, file):
        file.write(b"x")
        file.flush()
        aged(held)
        assert not stale.exists()
        sweep_files(tmp_path)
        assert held.exists()
        file.write(b"y")
    assert sorted(tmp_path.iterdir()) == sorted([*others, link, held])
    sweep_files(tmp_path)
    assert held.exists()  # finished just now: it may be about to be renamed
    aged(held)
    sweep_files(tmp_path)
    assert not held.exists()


def aged(path):
    """The file as if it had been written an hour ago."""
    os.utime(path, (time.time() - 3600, time.time() - 3600))


@posix
def test_folders_of_killed_runs_are_swept(tmp_path):
    gone, busy, foreign = (tmp_path / name for name in ("ncgopt-gone", "ncgopt-busy", "ncgopt-foreign"))
    for folder in (gone, busy, foreign):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"x")
    (gone / "doing").write_bytes(b"")
    aged(gone / "doing")
    with (busy / "doing").open("w+b") as file:
        assert hold(file.fileno())
        aged(busy / "doing")
        start = time.monotonic()
        sweep_folders(tmp_path)
        assert time.monotonic() - start < 5
        assert sorted(path.name for path in tmp_path.iterdir()) == ["ncgopt-busy", "ncgopt-foreign"]
