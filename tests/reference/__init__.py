"""One numpy implementation per operator of ONNX Runtime's own that ncgopt emits, from its specification.

Also standard operators that onnx's own reference implementation computes wrongly.
"""

from reference.batch_normalization import BatchNormalization
from reference.conv_transpose import ConvTranspose
from reference.dropout import Dropout
from reference.fused_conv import FusedConv
from reference.fused_gemm import FusedGemm
from reference.fused_matmul import FusedMatMul
from reference.gelu import BiasGelu, FastGelu, Gelu, QuickGelu
from reference.integer_matmul import DynamicQuantizeMatMul, MatMulIntegerToFloat
from reference.lrn import LRN
from reference.max_pool import MaxPool
from reference.multi_head_attention import MultiHeadAttention
from reference.normalization import (
    LayerNormalization,
    SimplifiedLayerNormalization,
    SkipLayerNormalization,
    SkipSimplifiedLayerNormalization,
)
from reference.quantize_linear import QuantizeLinear
from reference.quantized import QUANTIZED
from reference.rotary_embedding import RotaryEmbedding

CONTRIB = [
    BiasGelu,
    DynamicQuantizeMatMul,
    FastGelu,
    FusedConv,
    FusedGemm,
    FusedMatMul,
    Gelu,
    LayerNormalization,
    MatMulIntegerToFloat,
    MultiHeadAttention,
    RotaryEmbedding,
    QuickGelu,
    SimplifiedLayerNormalization,
    SkipLayerNormalization,
    SkipSimplifiedLayerNormalization,
    *QUANTIZED,
]
CORRECTED = [LRN, BatchNormalization, ConvTranspose, Dropout, MaxPool, QuantizeLinear]
