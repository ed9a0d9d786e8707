"""Options that several commands share, and how they and the settings file become `Settings`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ncgopt.errors import InputUnreadable
from ncgopt.settings import Settings, Target, VerifySettings

from . import values

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Option = Callable[[_Command], _Command]

PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class Chosen:
    """Settings of one run, and the file that part of them came from."""

    settings: Settings
    path: Path | None


def bind(help_text: str) -> _Option[Any]:
    """`--bind NAME=N`; what binding a dimension means depends on the command."""
    return click.option("--bind", multiple=True, callback=values.bindings, metavar="NAME=N", help=help_text)


def selection(command: _Command) -> _Command:
    """Options that say which passes run, and on what."""
    return _all(
        command,
        click.option("--preset", metavar="NAME", help="Preset of passes and rules; see `ncgopt passes`."),
        click.option(
            "--objective",
            type=click.Choice(["latency", "memory", "size", "nodes"]),
            help="What matters most; memory: the peak of a run. All four are reported, latency where it is measured.",
        ),
        click.option(
            "--passes",
            callback=values.names,
            metavar="A,B,C",
            help="Exactly these passes, rules or groups, comma separated.",
        ),
        click.option("--skip", multiple=True, metavar="GLOB", help="Leave out passes and rules with such names."),
        click.option(
            "--set",
            "pass_options",
            multiple=True,
            callback=values.pass_options,
            metavar="PASS.OPTION=VALUE",
            help="Set an option of a pass.",
        ),
        click.option(
            "--target",
            type=click.Choice([target.value for target in Target]),
            help="Operators the result may use; onnx: standard ones only (default).",
        ),
        click.option("--exact/--no-exact", default=None, help="Only rewrites that keep every bit of the result."),
        click.option("--keep", multiple=True, metavar="GLOB", help="Nodes and initializers nothing may touch."),
        bind("Pin a symbolic dimension of the model to a size."),
        click.option(
            "--max-growth", type=int, metavar="BYTES", help="Bytes the file may grow by folding constants (0)."
        ),
        click.option("--trust-links/--no-trust-links", default=None, help="Accept external data behind links."),
        click.option("--config", type=PATH, metavar="FILE", help="Settings file; else the nearest ncgopt.toml."),
    )


def pruning(command: _Command) -> _Command:
    """Options of the lossy pass `prune-weights`, which `--passes` must name all the same."""
    return _all(
        command,
        click.option(
            "--sparsity", type=click.FloatRange(0, 1), help="prune-weights: share of the weights to set to zero."
        ),
        click.option(
            "--scope",
            type=click.Choice(["global", "layer"]),
            help="prune-weights: rank all weights together, or by layer.",
        ),
        click.option("--exclude", multiple=True, metavar="GLOB", help="prune-weights: weights to leave alone."),
    )


def verification(command: _Command) -> _Command:
    """Options that say how two models are compared, but for the bindings."""
    return _all(
        command,
        click.option("--feeds", multiple=True, type=PATH, metavar="FILE.npz", help="Your own inputs, used as well."),
        click.option("--custom-ops", multiple=True, type=PATH, metavar="LIB", help="Library of custom operators."),
        click.option("--provider", multiple=True, metavar="NAME", help="Execution provider, in order of preference."),
        click.option("--seed", type=int, help="Seed of the generated inputs (0)."),
        click.option(
            "--verify-mode",
            type=click.Choice(["auto", "whole", "window"]),
            help="Run the models whole, or piece by piece in bounded memory; auto: as memory allows.",
        ),
    )


def measuring(command: _Command) -> _Command:
    """Options that have the result measured, and rewrites that do not pay left out."""
    return _all(
        command,
        click.option(
            "--search",
            type=click.FloatRange(0),
            metavar="SECONDS",
            help="Time to look for rewrites that only pay together (0).",
        ),
        click.option(
            "--measure/--no-measure",
            default=None,
            help="Run rewrites before and after; leave out those that do not pay.",
        ),
        click.option(
            "--fail-if-slower",
            callback=values.share,
            metavar="SHARE",
            help="Write nothing (7) where the result takes longer than the original by more than that, as in 3%.",
        ),
        click.option(
            "--measure-seconds",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            help="Time for all measurements together (300).",
        ),
        click.option("--measure-threads", type=click.IntRange(min=1), metavar="N", help="Intra-op threads there (1)."),
    )


def limits(command: _Command) -> _Command:
    """What the processes may take that execute a model or rewrite it."""
    return _all(
        command,
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            help="Time for the comparison (1800), and for any one pass (600); one that takes longer is left out.",
        ),
        click.option(
            "--memory-limit",
            callback=values.size,
            metavar="SIZE",
            help="Memory that each child process may take, as in 4GB (three quarters of what the machine has).",
        ),
    )


def volume(command: _Command) -> _Command:
    """`-v` and `-q`."""
    return _all(
        command,
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    )


FORMAT = click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", help="How the result is written."
)


def choose(given: Mapping[str, Any]) -> Chosen:
    """Settings from the settings file and the options given, which win over the file.

    A list of globs, feeds or libraries adds to the file's list; a binding or an option of a pass replaces
    the file's of the same name; everything else replaces the file's value.
    """
    from ncgopt import configuration

    found = configuration.load(given.get("config"))
    base = found.settings
    names = ("preset", "objective", "passes", "exact", "trust_links", "timeout", "memory_limit")
    changes: dict[str, Any] = {name: given[name] for name in names if given.get(name) is not None}
    if given.get("target") is not None:
        changes["target"] = Target(given["target"])
    changes["skip"] = (*base.skip, *given.get("skip", ()))
    changes["keep"] = (*base.keep, *given.get("keep", ()))
    changes["bind"] = {**base.bind, **given.get("bind", {})}
    changes["options"] = _pass_options(base.options, given)
    changes["verification"] = verify_settings(given, base.verification)
    return Chosen(dataclasses.replace(base, **changes), found.path)


def verify_settings(given: Mapping[str, Any], base: VerifySettings | None = None) -> VerifySettings:
    """How to compare, from the options of `verification` and `verify_bind`; files are checked to exist."""
    base = base or VerifySettings()
    names = ("seed", "timeout", "memory_limit")
    changes: dict[str, Any] = {name: given[name] for name in names if given.get(name) is not None}
    if given.get("verify_mode") is not None:
        changes["mode"] = given["verify_mode"]
    if given.get("provider"):
        changes["providers"] = tuple(given["provider"])
    changes["feeds"] = (*base.feeds, *given.get("feeds", ()))
    changes["custom_ops"] = (*base.custom_ops, *given.get("custom_ops", ()))
    changes["bind"] = {**base.bind, **given.get("verify_bind", {})}
    _must_exist((*changes["feeds"], *changes["custom_ops"]))
    return dataclasses.replace(base, **changes)


def _pass_options(base: Mapping[str, Mapping[str, object]], given: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    options = {owner: dict(values) for owner, values in base.items()}
    # The short options come first: `--set` can say the same and is more explicit.
    if given.get("max_growth") is not None:
        options.setdefault("fold-constants", {})["max_growth"] = given["max_growth"]
    for name in ("sparsity", "scope", "exclude"):
        if given.get(name) not in (None, ()):
            options.setdefault("prune-weights", {})[name] = given[name]
    for owner, chosen in given.get("pass_options", {}).items():
        options.setdefault(owner, {}).update(chosen)
    return options


def _must_exist(paths: Iterable[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise InputUnreadable(f"{path}: no such file")


def _all(command: _Command, *options: _Option[_Command]) -> _Command:
    # Decorators apply from the inside out, help lists them from the outside in.
    for option in reversed(options):
        command = option(command)
    return command
