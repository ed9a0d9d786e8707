"""What both sides have in common becomes a symbol: what holds for any value there holds for that one.

Most of what a model computes around a rewrite is the same on both sides. With it out of the way, and symbols
numbered as they come, the elements of a tensor ask one and the same question, which is answered once.
"""

from __future__ import annotations

from proofs.terms import Arena, Term


def generalized(a: Term, b: Term, arena: Arena) -> tuple[Term, Term]:
    """Both terms with their largest common parts replaced by symbols, and all symbols numbered."""
    common = _parts(a) & _parts(b)
    return _rebuilt((a, b), arena, common)


def numbered(a: Term, b: Term, arena: Arena) -> tuple[Term, Term]:
    """Both terms with all symbols numbered."""
    return _rebuilt((a, b), arena, set())


def _parts(term: Term) -> set[Term]:
    seen: set[Term] = set()
    todo = [term]
    while todo:
        top = todo.pop()
        if top not in seen:
            seen.add(top)
            todo += top.args
    return {part for part in seen if part.op != "constant"}


def _rebuilt(terms: tuple[Term, Term], arena: Arena, common: set[Term]) -> tuple[Term, Term]:
    made: dict[Term, Term] = {}
    count = 0
    for term in terms:
        todo = [term]
        while todo:
            top = todo[-1]
            if top in made:
                todo.pop()
            elif top.op == "symbol" or top in common:
                made[todo.pop()] = arena.make("symbol", top.elem, (), ("", (count,)))
                count += 1
            elif missing := [arg for arg in reversed(top.args) if arg not in made]:
                todo += missing
            else:
                made[todo.pop()] = arena.make(top.op, top.elem, tuple(made[arg] for arg in top.args), top.attributes)
    return made[terms[0]], made[terms[1]]
