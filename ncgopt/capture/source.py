"""What the user calls a program by: `package.module:name`, `file.py:name`, or a file that a framework wrote."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ncgopt.capture.program import CannotCapture, Program, reason
from ncgopt.errors import InputUnreadable, Unavailable, Usage

FRAMEWORKS = ("torch", "keras", "tensorflow", "jax")
_MODULES = {"torch": "pytorch", "keras": "keras", "tensorflow": "tensorflow", "jax": "jax"}
_BACKENDS = ("jax", "tensorflow", "torch")  # of Keras, the one with the best exporter first


def find(source: str, framework: str | None, *, trust: bool) -> Program:
    """The program that `source` means.

    Args:
        source: see above; an object that is called without arguments to make the program will do.
        framework: what a plain function is written in; told from the object itself where that can be told.
        trust: files may hold code that is run when they are read.

    Raises:
        InputUnreadable: there is no such file, module or name, or importing it fails.
        Unavailable: the framework, or its exporter, is not installed.
        Usage: it cannot be told what the object is, or the file is only read with `trust`.
        CannotCapture: the framework cannot read the file.
    """
    _choose_backend()
    path = Path(source)
    if path.exists() or ":" not in source:
        return _of_file(path, trust=trust)
    return of_object(_named(source), source, framework)


def of_object(found: object, source: str, framework: str | None) -> Program:
    """The program that an object is, or makes when it is called without arguments."""
    kind = _kind(found)
    if kind is None and callable(found) and _takes_nothing(found):
        try:
            found = found()
        except Exception as error:
            raise CannotCapture(f"{source}() failed: {reason(error)}") from error
        kind = _kind(found)
    if kind is None and not callable(found):
        raise Usage(f"{source} is {type(found).__name__}, neither a model nor a function")
    chosen = kind or framework or _only_one_loaded(source)
    if chosen == "torch":
        return frontend("torch").TorchProgram(found)
    if chosen == "keras":
        return frontend("keras").KerasProgram(found)
    if chosen == "tensorflow":
        return frontend("tensorflow").TensorflowProgram(found)
    return frontend("jax").JaxProgram(found)


def frontend(framework: str) -> Any:
    """The module that speaks with a framework.

    Raises:
        Unavailable: a package that it needs is not installed.
    """
    try:
        return importlib.import_module(f"ncgopt.capture.frameworks.{_MODULES[framework]}")
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"{error.name or framework} is not installed: pip install 'ncgopt[{framework}]' brings what capturing"
            f" from {framework} needs"
        ) from None


def _of_file(path: Path, *, trust: bool) -> Program:
    if not path.exists():
        raise InputUnreadable(f"{path}: no such file (a program in Python is package.module:name or file.py:name)")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise InputUnreadable(f"{path}: a folder without saved_model.pb is no SavedModel")
        return frontend("tensorflow").load_saved(path)
    if path.suffix == ".pt2":
        return frontend("torch").load_exported(path)
    if path.suffix == ".keras":
        return frontend("keras").load_model(path, trust=trust)
    if path.suffix in (".pt", ".pth", ".bin", ".pkl"):
        if not trust:
            raise Usage(f"{path} is a pickle, and reading it runs whatever code is in it; --trust allows that")
        return frontend("torch").load_pickled(path)
    raise Usage(f"{path}: neither .pt2, .keras, .pt nor a SavedModel; a program in Python needs its name: {path}:NAME")


def _named(source: str) -> object:
    place, _, name = source.rpartition(":")
    module = _module(place)
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = [one for one in vars(module) if not one.startswith("_")]
            raise InputUnreadable(f"{place} has nothing called {name}; it has {', '.join(names[:12])}") from None
    return found


def _module(place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            path = Path(place)
            if not path.is_file():
                raise InputUnreadable(f"{path}: no such file")
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[path.stem] = module
            sys.path.insert(0, str(path.parent.absolute()))  # as if it were run
            spec.loader.exec_module(module)
            return module
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` has it
        return importlib.import_module(place)
    except InputUnreadable:
        raise
    except Exception as error:
        raise InputUnreadable(f"{place} cannot be imported: {reason(error)}") from error


def _kind(found: object) -> str | None:
    """The framework of an object; None for a plain function."""
    if isinstance(found, type):
        return None
    bases = {f"{base.__module__}.{base.__name__}" for base in type(found).__mro__}
    if any(name.startswith("keras.") and name.endswith(".Model") for name in bases):
        return "keras"
    if any(name.startswith("torch.nn.modules.") for name in bases):
        return "torch"
    if any(name.startswith("tensorflow.") for name in bases):
        return "tensorflow"
    if any(name.split(".")[0] in ("jaxlib", "jax", "flax", "equinox") for name in bases):
        return "jax"
    return None


def _takes_nothing(found: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return False
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if any(p.default is inspect.Parameter.empty and p.kind not in free for p in parameters):
        return False
    # A function of `*args` takes tensors; a class without a constructor of its own has that of `Module`.
    return isinstance(found, type) or all(p.kind is not inspect.Parameter.VAR_POSITIONAL for p in parameters)


def _only_one_loaded(source: str) -> str:
    loaded = [name for name in ("torch", "tensorflow", "jax") if name in sys.modules]
    if len(loaded) == 1:
        return loaded[0]
    raise Usage(f"{source} is a plain function: say with --framework whether it is torch, tensorflow or jax")


def _choose_backend() -> None:
    """Have Keras, if it is imported, run on what is installed, unless the user said what it shall run on.

    Keras itself writes a settings file that names TensorFlow, installed or not: a name in it counts if it is.
    """
    if "KERAS_BACKEND" in os.environ or "keras" in sys.modules:
        return
    said = _configured_backend()
    for name in (*([said] if said else []), *_BACKENDS):
        if importlib.util.find_spec(name) is not None:
            os.environ["KERAS_BACKEND"] = name
            return


def _configured_backend() -> str | None:
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        return str(found["backend"])
    except (OSError, ValueError, KeyError, TypeError):  # Keras, too, then goes by its default
        return None


def description(program: Program) -> str:
    """The framework and its version."""
    return type(program).framework
