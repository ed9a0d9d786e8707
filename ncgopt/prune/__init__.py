"""Pruning: weights or channels that matter little go, calibrated on data, under a gate of quality.

settings.py       what a user may ask
run.py            the whole way; pruner.py: one model and pruned copies of it
calibration.py    the user's data; moments.py: what layers are given; patches.py: how a Conv sees it
layers.py, bias.py, pattern.py, unstructured/    single weights
channels/, structured/                           whole channels, whole residual blocks
quality.py, accounting.py, sparse.py    what it costs, and what it buys
"""
