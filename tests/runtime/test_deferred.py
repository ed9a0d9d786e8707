"""sympy stays out of processes that are ours, and works where somebody needs it after all."""

import subprocess
import sys

_START = "import sys; from ncgopt.deferred import defer_unused; defer_unused(); import onnx_ir as ir; "


def _run(code: str) -> str:
    command = [sys.executable, "-c", "import sys; sys.path[:] = sys.argv[1:]; " + _START + code, *sys.path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_onnx_ir_is_there_without_sympy():
    assert _run("ir.Shape(['n', 3]); print('sympy.core' in sys.modules)") == "False"


def test_sizes_can_still_be_computed_with():
    assert _run("print(ir.SymbolicDim('n') + 1)") == _run("import sympy; print(ir.SymbolicDim('n') + 1)")


def test_the_command_line_never_loads_it(tmp_path):
    code = "from ncgopt_cli.main import invoke; import ncgopt.pipeline; print('sympy.core' in sys.modules)"
    assert _run(code) == "False"
