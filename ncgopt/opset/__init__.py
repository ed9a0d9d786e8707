"""Upgrading a model to a newer version of the default operator set: only when asked (`--opset`)."""

from ncgopt.opset.upgrade import expected_contract, upgrade

__all__ = ["expected_contract", "upgrade"]
