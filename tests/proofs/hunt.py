"""`make hunt`: rules applied to random models, and what they make of them proven: where a proof fails, a bug is near.

Random models are grown from the case files as `make fuzz` grows them. The fuzzer compares on some data; here
every value of the inputs is meant. What cannot be proven (operators without meaning here, models that are too
large) is counted and left out.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from contextlib import contextmanager

import onnx
from fuzz.generate import NoModel, generate

from ncgopt import model as models
from ncgopt.errors import NcgoptError
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.rewrite import Rule, Session
from ncgopt.runtime import Worker
from ncgopt.settings import Target
from proofs.prove import Refuted, prove
from proofs.record import RULE_BY_NAME

_SECONDS = 20


class _TooSlow(Exception):
    pass


@contextmanager
def _limited(seconds: int):
    def stop(*_: object) -> None:
        raise _TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def rewritten(before: onnx.ModelProto, rule: Rule, worker: Worker) -> onnx.ModelProto | None:
    """The model after the rule alone; None where it does not fire."""
    model = models.from_proto(before).model
    Session(model, worker=worker)
    target = Target.ONNX if Target.ONNX in rule.targets else Target.ONNXRUNTIME
    return models.to_proto(model) if ApplyRules(rules=(rule,), target=target)(model).modified else None


def hunt(rules: list[Rule], count: int, seed: int) -> Counter[str]:
    """How many models were proven by which theory, and what else became of them."""
    found: Counter[str] = Counter()
    with Worker() as worker:
        for index in range(count):
            rule = rules[index % len(rules)]
            try:
                before = generate(seed, index, rule.name).model
                after = rewritten(before, rule, worker)
                if after is None:
                    found["no match"] += 1
                    continue
                with _limited(_SECONDS):
                    outcome = prove(before, after, rule.claim)
            except NoModel:
                found["no model"] += 1
            except _TooSlow:
                found["too slow"] += 1
            except (Refuted, NcgoptError) as error:
                found["refuted"] += 1
                _show(rule, index, str(error), before)
            else:
                found[outcome.kind] += 1
                if outcome.reason:
                    print(f"{rule.name}, model {index} is left open: {outcome.reason}", flush=True)
    return found


def _show(rule: Rule, index: int, why: str, model: onnx.ModelProto) -> None:
    print(f"{rule.name}, model {index}: {why}\n{onnx.printer.to_text(model)}\n", flush=True)


def main() -> None:
    """Exit with 1 where something was refuted."""
    parser = argparse.ArgumentParser(prog="hunt", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="a rule; all of them if not given")
    arguments = parser.parse_args()
    rules = [RULE_BY_NAME[name] for name in arguments.only or RULE_BY_NAME]
    found = hunt(rules, arguments.count, arguments.seed)
    print(", ".join(f"{what} {n}" for what, n in found.most_common()))
    sys.exit(bool(found["refuted"]))


if __name__ == "__main__":
    main()
