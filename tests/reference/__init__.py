"""One numpy implementation per `com.microsoft` operator that ncgopt emits, from its specification.

Also standard operators that onnx's own reference implementation computes wrongly.
"""

from reference.batch_normalization import BatchNormalization
from reference.conv_transpose import ConvTranspose
from reference.dropout import Dropout
from reference.fused_gemm import FusedGemm
from reference.gelu import FastGelu, Gelu
from reference.integer_matmul import DynamicQuantizeMatMul, MatMulIntegerToFloat

CONTRIB = [DynamicQuantizeMatMul, FastGelu, FusedGemm, Gelu, MatMulIntegerToFloat]
CORRECTED = [BatchNormalization, ConvTranspose, Dropout]
