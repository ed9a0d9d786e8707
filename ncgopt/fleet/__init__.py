"""Many models in one run: several at once, here or on a cluster, and what was done is not done again.

`optimize_all` does what `ncgopt optimize A B C` does. `call_all` is for anything else that is done model by model:
a function, called once for each tuple of arguments, in child processes.
"""

from ncgopt.fleet.calls import call_all
from ncgopt.fleet.engine import Engine
from ncgopt.fleet.fleet import Finished, optimize_all
from ncgopt.fleet.sources import Pair, Source, beside, find, into_folder
from ncgopt.fleet.tasks import Done

__all__ = [
    "Done",
    "Engine",
    "Finished",
    "Pair",
    "Source",
    "beside",
    "call_all",
    "find",
    "into_folder",
    "optimize_all",
]
