"""A model on disk and in memory: reading, writing, and what must survive in between."""

from ncgopt.model.contract import Contract
from ncgopt.model.debug import Remarks, strip
from ncgopt.model.destination import destination
from ncgopt.model.load import Loaded, from_proto, load
from ncgopt.model.save import SavedFiles, save, write_beside
from ncgopt.model.stats import stats
from ncgopt.model.training import pinned_names
from ncgopt.model.write import to_proto

__all__ = [
    "Contract",
    "Loaded",
    "Remarks",
    "SavedFiles",
    "destination",
    "from_proto",
    "load",
    "pinned_names",
    "save",
    "stats",
    "strip",
    "to_proto",
    "write_beside",
]
