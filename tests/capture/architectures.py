"""Small models of many architectures of the `transformers` package, with random weights: nothing is downloaded.

Each function makes one; `test_frameworks.py` says what goes in.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 100,
}


class First(torch.nn.Module):
    """A model that gives its first output alone, and keeps no cache."""

    def __init__(self, model: Any, **fixed: Any) -> None:
        super().__init__()
        self.model, self.fixed = model, fixed


class Text(First):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **self.fixed)[0]


class Image(First):
    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=pixel_values, **self.fixed)[0]


def _seeded(make: Any, config: Any, *args: Any) -> Any:
    torch.manual_seed(0)
    return make(config, *args)


def bert() -> Text:
    return Text(_seeded(tf.BertModel, tf.BertConfig(**SMALL)))


def roberta() -> Text:
    return Text(_seeded(tf.RobertaModel, tf.RobertaConfig(**SMALL, max_position_embeddings=64)))


def distilbert() -> Text:
    return Text(
        _seeded(tf.DistilBertModel, tf.DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64))
    )


def electra() -> Text:
    return Text(_seeded(tf.ElectraModel, tf.ElectraConfig(**SMALL, embedding_size=32)))


def albert() -> Text:
    return Text(_seeded(tf.AlbertModel, tf.AlbertConfig(**SMALL, embedding_size=16)))


def mpnet() -> Text:
    return Text(_seeded(tf.MPNetModel, tf.MPNetConfig(**SMALL, max_position_embeddings=64)))


def gpt2() -> Text:
    return Text(_seeded(tf.GPT2Model, tf.GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4)), use_cache=False)


def opt() -> Text:
    config = tf.OPTConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
                          word_embed_proj_dim=32, max_position_embeddings=64)  # fmt: skip
    return Text(_seeded(tf.OPTModel, config), use_cache=False)


def llama() -> Text:
    return Text(_seeded(tf.LlamaModel, tf.LlamaConfig(**SMALL, num_key_value_heads=2)), use_cache=False)


def mistral() -> Text:
    return Text(_seeded(tf.MistralModel, tf.MistralConfig(**SMALL, num_key_value_heads=2)), use_cache=False)


def qwen3() -> Text:
    return Text(_seeded(tf.Qwen3Model, tf.Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=8)), use_cache=False)


def gemma() -> Text:
    return Text(_seeded(tf.GemmaModel, tf.GemmaConfig(**SMALL, num_key_value_heads=2, head_dim=8)), use_cache=False)


def t5_encoder() -> Text:
    return Text(
        _seeded(tf.T5EncoderModel, tf.T5Config(vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4))
    )


def vit() -> Image:
    config = {key: value for key, value in SMALL.items() if key != "vocab_size"}
    return Image(_seeded(tf.ViTModel, tf.ViTConfig(**config, image_size=32, patch_size=8)))


def deit() -> Image:
    config = {key: value for key, value in SMALL.items() if key != "vocab_size"}
    return Image(_seeded(tf.DeiTModel, tf.DeiTConfig(**config, image_size=32, patch_size=8)))
