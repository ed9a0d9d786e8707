"""Running models in a child process, so that a native crash never takes the user's process down.

Nothing heavy is imported here: the process that supervises a job must stay small.
"""

from ncgopt.runtime.failures import CannotEvaluate
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.simplifier import SimplifierFailed

__all__ = ["CannotEvaluate", "SimplifierFailed", "Worker", "WorkerDied"]
