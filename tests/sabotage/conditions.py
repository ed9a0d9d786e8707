"""One condition at a time is taken out of a rule's own code, outside its named guards.

A condition: what an `if` leaves early for (one operand of an `or` at a time), and one operand of an
`and` whose value is returned. The rule's cases must come out otherwise without it, or it is a condition
that no case shows.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import onnx
from canonical import canonical
from case_file import Case, all_cases
from fuzz.trial import try_index

from ncgopt import model as models
from ncgopt.rewrite import Engine, Session
from ncgopt.rules import RULES
from ncgopt.settings import Target


@dataclass(frozen=True)
class Condition:
    """The `number`-th condition in the file of a rule; `line` and `text` say where and which."""

    rule: str
    number: int
    line: int
    text: str


@dataclass(frozen=True)
class Survivor:
    """A condition that no case notices; what random models made of its absence."""

    condition: Condition
    models: int
    failure: str


def all_conditions() -> list[Condition]:
    """Of every rule, in the order of their files."""
    found: list[Condition] = []
    for rule in RULES:
        tree = ast.parse(inspect.getsource(sys.modules[type(rule).__module__]))
        for number, (holder, slot, _) in enumerate(_places(tree)):
            taken = _get(holder, slot)
            found.append(Condition(rule.name, number, taken.lineno, ast.unparse(taken)))
    return found


def survives(condition: Condition, count: int, seed: int) -> Survivor | None:
    """None where a case notices; otherwise what up to `count` random models say."""
    rule = next(r for r in RULES if r.name == condition.rule)
    mutant = _mutant(rule, condition.number)
    if any(_notices(case, rule, mutant) for case in all_cases() if case.subject == rule.name):
        return None
    with _in_place_of(rule, mutant):
        for index in range(count):
            result = try_index(seed, index, rule.name)
            if result.failures:
                failure = result.failures[0]
                return Survivor(condition, index + 1, f"{failure.kind}: {failure.detail}"[:300])
    return Survivor(condition, 0, "")


def _notices(case: Case, rule: Any, mutant: Any) -> bool:
    return _outcome(case, rule) != _outcome(case, mutant)


def _outcome(case: Case, rule: Any) -> object:
    model = models.from_proto(onnx.parser.parse_model(case.source)).model
    session = Session(model)
    try:
        Engine([rule], Target(case.target)).run(model)
    except Exception as error:  # a mutant may stumble over anything
        return type(error)
    return canonical(models.to_proto(model)), tuple((r.rule, r.guard) for r in session.refusals()), len(session.faults)


def _mutant(rule: Any, number: int) -> Any:
    """The rule from its module without one condition, compiled anew."""
    original = sys.modules[type(rule).__module__]
    tree = ast.parse(inspect.getsource(original))
    holder, slot, neutral = list(_places(tree))[number]
    _set(holder, slot, ast.copy_location(ast.Constant(neutral), _get(holder, slot)))
    module = types.ModuleType(original.__name__)
    module.__file__, module.__package__ = original.__file__, original.__package__
    kept = sys.modules[original.__name__]
    sys.modules[original.__name__] = module  # dataclasses look their own module up
    try:
        exec(compile(ast.fix_missing_locations(tree), original.__file__ or "", "exec"), module.__dict__)
    finally:
        sys.modules[original.__name__] = kept
    return getattr(module, type(rule).__name__)()


@contextmanager
def _in_place_of(rule: Any, mutant: Any) -> Iterator[None]:
    """The registered rule does what the mutant does, until the block ends."""
    cls, names = type(rule), ("match", "build", "requires", "pays")
    kept = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    for name in names:
        setattr(cls, name, getattr(type(mutant), name))
    try:
        yield
    finally:
        for name in names:
            if name in kept:
                setattr(cls, name, kept[name])
            else:
                delattr(cls, name)


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, tuple[str, int | None], bool]]:
    """Where conditions are, and what makes each of them void: (holder, field and index, neutral value)."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name == "build":
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.If) and len(node.body) == 1 and _leaves(node.body[0]):
                yield from _operands(node, "test", ast.Or, False)
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.BoolOp):
                yield from _operands(node, "value", ast.And, True)
            elif isinstance(node, ast.IfExp) and isinstance(node.orelse, ast.Constant) and node.orelse.value is None:
                yield from _operands(node, "test", ast.And, True)


def _operands(
    holder: ast.AST, name: str, of: type[ast.boolop], neutral: bool
) -> Iterator[tuple[ast.AST, tuple[str, int | None], bool]]:
    test = getattr(holder, name)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, of):
        for index in range(len(test.values)):
            yield test, ("values", index), neutral
    elif name == "test":
        yield holder, (name, None), neutral


def _leaves(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Continue):
        return True
    value = statement.value if isinstance(statement, ast.Return) else statement
    return value is None or (isinstance(value, ast.Constant) and value.value in (None, False))


def _get(holder: ast.AST, slot: tuple[str, int | None]) -> Any:
    found = getattr(holder, slot[0])
    return found if slot[1] is None else found[slot[1]]


def _set(holder: ast.AST, slot: tuple[str, int | None], value: ast.expr) -> None:
    if slot[1] is None:
        setattr(holder, slot[0], value)
    else:
        getattr(holder, slot[0])[slot[1]] = value
