"""onnx's backend test suite, run through ncgopt and compared with the suite's own expected outputs."""
