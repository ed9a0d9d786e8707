import sys

import pytest

REMOTE = """
import ctypes, os, sys, time
from ncgopt.errors import Usage
from ncgopt.runtime.stage import stage

calls = 0

class Foreign(Exception):
    pass

def twice(x):
    return x * 2

def count():
    global calls
    calls += 1
    return calls

def noisy():
    print("from python")
    os.write(1, b"from native code on standard output")
    os.write(2, b"from native code on standard error")
    assert not sys.stdin.read()
    return "quiet"

def wrong_usage():
    raise Usage("no such pass")

def missing_key():
    return {}["key"]

def foreign():
    raise Foreign("odd")

def leave():
    sys.exit(3)

def crash():
    stage("running the result at batch=3")
    os.write(2, b"native last words\\\\n")
    ctypes.string_at(0)

def take(size):
    import numpy
    return int(numpy.empty(size, dtype=numpy.uint8).size)

def grow():
    import numpy
    stage("growing")
    kept = []
    while True:
        kept.append(numpy.ones(5_000_000, dtype=numpy.uint8))
        time.sleep(0.01)

def bad_alloc():
    stage("allocating")
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'")
    os.abort()

def hold():
    ctypes.PyDLL(None).sleep(60)

def hang():
    stage("sleeping")
    time.sleep(60)
"""


@pytest.fixture(scope="session")
def remote_module(tmp_path_factory):
    """A module that a child can only find because it gets the parent's sys.path."""
    folder = tmp_path_factory.mktemp("remote")
    (folder / "tests_runtime_remote.py").write_text(REMOTE, encoding="utf-8")
    sys.path.append(str(folder))
    yield
    sys.path.remove(str(folder))
