"""Entry point: the command group, and the one place where exceptions become exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ncgopt.deferred import defer_unused
from ncgopt.errors import ExitCode, NcgoptError

if TYPE_CHECKING:
    from ncgopt.runtime.supervised import Supervised

# Name -> one line of help. A command lives in the module of the same name and is called `command`;
# listing them here keeps `--help` from importing any of them.
COMMANDS = {
    "capture": "Make a static graph of a PyTorch, Keras, TensorFlow or JAX program.",
    "optimize": "Rewrite a model, prove it computes the same, write it.",
    "verify": "Run two models on the same data and compare them.",
    "diff": "Say in what two models differ: nodes, weights, interface, results.",
    "bisect": "Find the rewrite at fault, and the smallest model that shows it.",
    "inspect": "Show operators, weights, interface and cost of a model.",
    "check": "Say what is wrong with models, or could be better.",
    "prune": "Remove weights or channels that matter little, under a gate of quality.",
    "bench": "Measure the latency of a model, or of two against each other.",
    "tune": "Find the session settings with which a model runs fastest here.",
    "passes": "List all passes and rules.",
    "explain": "Show what a pass or rule does, and why it may.",
}

_COMPLETION = "_NCGOPT_COMPLETE"
"""Where a shell says that it wants words completed; click answers, and exits."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of `cmd_name` and return its command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ncgopt_cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands, importing none of them."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return names or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from `COMMANDS`, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import ncgopt

        click.echo(f"ncgopt {ncgopt.__version__}")
        ctx.exit()


@click.group(name="ncgopt", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def main() -> None:
    """An ONNX optimizer that checks its own work: it writes nothing that it could not verify.

    \b
    Exit codes: 0 done, 1 findings (check, diff), 2 model invalid, 3 verification failed,
    4 unsound rewrite, 5 inconclusive, 6 gate not met, 7 slower, 64 usage, 66 input unreadable,
    69 something is not installed, 70 a bug of ncgopt, 71 out of time or memory, 73 cannot write, 130 interrupted.
    """  # noqa: D301 - click wants the backspace itself, which keeps the lines as they are


def _report_error(message: str) -> None:
    """Write one line on stderr, whatever line breaks the message holds."""
    click.echo(f"ncgopt: error: {' '.join(message.split())}", err=True)


def _usage_message(error: click.UsageError) -> str:
    """What click says about it, and where to look the right usage up."""
    where = error.ctx.command_path if error.ctx else "ncgopt"
    return f"{error.format_message().rstrip('.')} (see `{where} --help`)"


def invoke(arguments: Sequence[str], *, supervised: Supervised | bool = False) -> int:
    """Run one command line and return its exit code; every exception is turned into one line.

    Args:
        arguments: without the program's name.
        supervised: whether the command may do its work in a child process that can be ended from here; or that
            child, which is getting ready.
    """
    debug = "--debug" in arguments
    # --debug is valid anywhere on the line: who needs it just saw an error and appends it.
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        result: object = main.main(arguments, prog_name="ncgopt", standalone_mode=False, obj=supervised)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and _COMPLETION in os.environ:
            return end.code if isinstance(end.code, int) else ExitCode.DONE
        # The reader (`| head`) left (click itself turns that into SystemExit); nobody is there to be
        # told. Python would complain once more when it flushes stdout at exit, so that goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        return _code_of(error)
    return result if isinstance(result, int) else ExitCode.DONE


def _code_of(error: BaseException) -> int:
    """Report an exception that ended a command and return the exit code it stands for."""
    match error:
        case NcgoptError():
            _report_error(str(error))
            return error.exit_code
        case click.UsageError():
            _report_error(_usage_message(error))
            return ExitCode.USAGE
        case click.exceptions.Abort() | KeyboardInterrupt():
            _report_error("interrupted")
            return ExitCode.INTERRUPTED
        case click.FileError():
            _report_error(error.format_message())
            return ExitCode.INPUT_UNREADABLE
        case click.ClickException():
            _report_error(error.format_message())
            return ExitCode.USAGE
        case MemoryError():
            _report_error(f"out of memory: {error}")
            return ExitCode.OUT_OF_RESOURCES
        case RecursionError():
            _report_error("the model is nested too deeply")
            return ExitCode.MODEL_INVALID
        case _:
            kind = type(error).__name__
            _report_error(f"{kind}: {error}; this is a bug of ncgopt, please report it with the output of --debug")
            return ExitCode.BUG


def run() -> None:
    """Console script `ncgopt`."""
    defer_unused()
    arguments = sys.argv[1:]
    early = _early(arguments)
    with early or nullcontext():
        code = invoke(arguments, supervised=early or True)
    sys.exit(code)


def _early(arguments: Sequence[str]) -> Supervised | None:
    """The child that most likely is needed, started while we find out what for."""
    if arguments[:1] != ["optimize"] or {"-h", "--help", "-j", "--jobs", "--engine"} & set(arguments):
        return None  # several models have children of their own
    try:
        from ncgopt.runtime.supervised import Supervised

        # Where nothing will be verified, it has no child of its own to start first.
        return Supervised(ahead="onnx_ir" if "--no-verify" in arguments else "")
    except (OSError, NcgoptError):
        return None  # the command will try again, and say what is wrong
