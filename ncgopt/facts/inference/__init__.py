"""How facts about outputs follow from facts about inputs, where ONNX's own inference loses symbols."""
