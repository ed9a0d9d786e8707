"""Option callbacks for values with a form of their own: `a,b,c`, `NAME=N`, `PASS.OPTION=VALUE`."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence

import click

from ncgopt.bytesize import ByteSize, parse_size


def names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """`a,b,c` as a tuple; an empty list is a mistake, `--preset none` is how to say it."""
    if value is None:
        return None
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    if not found:
        raise click.BadParameter("needs at least one name", ctx, param)
    return found


def bindings(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, int]:
    """`NAME=N`, repeated. Split at the last `=`: names of dimensions may be arithmetic, sizes are not."""
    found: dict[str, int] = {}
    for value in values:
        name, _, size = value.rpartition("=")
        if not name.strip() or not size.strip().isdecimal():
            raise click.BadParameter(f"{value!r} is not NAME=N with a whole number N", ctx, param)
        found[name.strip()] = int(size)
    return found


def size(ctx: click.Context, param: click.Parameter, value: str | None) -> ByteSize | None:
    """`4GB`, `512MiB` or a plain number of bytes."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """`3%` or `0.03`; a bare number above 1 is taken for a forgotten percent sign."""
    if value is None:
        return None
    text = value.strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = math.nan
    if not number >= 0 or (number > 1 and not text.endswith("%")) or math.isinf(number):
        raise click.BadParameter(f"{value!r} is no share such as 3% or 0.03", ctx, param)
    return number


def pass_options(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, dict[str, object]]:
    """`PASS.OPTION=VALUE`, repeated; options are fields, so their names become snake_case."""
    found: dict[str, dict[str, object]] = {}
    for value in values:
        key, equals, text = value.partition("=")
        owner, _, option = key.strip().partition(".")
        if not equals or not owner or not option:
            raise click.BadParameter(f"{value!r} is not PASS.OPTION=VALUE", ctx, param)
        found.setdefault(owner, {})[option.replace("-", "_")] = _toml_value(text)
    return found


def _toml_value(text: str) -> object:
    """`3`, `0.5`, `true` and `["a"]` as TOML reads them; any other text as it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
