"""From settings to a verified file: which passes run, in which order, and what happens when one errs."""

from ncgopt.pipeline.catalog import CatalogEntry, catalog
from ncgopt.pipeline.findings import findings
from ncgopt.pipeline.optimize import optimize

__all__ = ["CatalogEntry", "catalog", "findings", "optimize"]
