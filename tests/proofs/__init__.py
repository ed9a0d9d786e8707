"""Proofs of rules: both sides of a firing case, executed on symbols, and every element shown to be the same.

`execute` runs a graph whose inputs hold a fresh symbol in every element; what comes out are terms
(`terms`). Movement of data is executed on labels, everything else builds a term. `moves`, `bits` and
`reals` say when two terms are equal; `prove` puts them together, `record` keeps what came of it.
"""
