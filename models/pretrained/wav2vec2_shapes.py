"""Configuration of a wav2vec2 encoder, inferred from the shapes of its weights; SpeechBrain publishes no other.

Strides and the number of heads leave no trace in the shapes: those of Baevski et al. (2020) are assumed, where the
kernel sizes match.
"""

from typing import Any

from torch import Tensor

from data_contracts.errors import ModelError

_KERNELS, _STRIDES = [10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]
_HEAD_SIZE = 64  # in every published size


def infer_config(state: dict[str, Tensor]) -> dict[str, Any]:
    """Return the configuration for `transformers`. Raises ModelError where the shapes are those of another network."""
    try:
        convolutions = [state[f"feature_extractor.conv_layers.{index}.conv.weight"] for index in range(len(_KERNELS))]
        hidden = state["feature_projection.projection.weight"].shape[0]
        inner = state["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0]
    except KeyError as error:
        raise ModelError(f"expected the weights of a wav2vec2 encoder, found none for {error}") from error
    if [item.shape[2] for item in convolutions] != _KERNELS or hidden % _HEAD_SIZE:
        raise ModelError(
            "expected a wav2vec2 of a published size; the shapes are others, so put the encoder's config.json beside "
            "the checkpoint, as wav2vec2/config.json"
        )
    position = next(
        value
        for name, value in state.items()
        if name.startswith("encoder.pos_conv_embed.conv") and (name.endswith(("weight_v", "weight.original1")))
    )
    stable = "feature_extractor.conv_layers.1.layer_norm.weight" in state
    return {
        "model_type": "wav2vec2",
        "hidden_size": int(hidden),
        "num_hidden_layers": len({name.split(".")[2] for name in state if name.startswith("encoder.layers.")}),
        "num_attention_heads": int(hidden) // _HEAD_SIZE,
        "intermediate_size": int(inner),
        "conv_dim": [int(item.shape[0]) for item in convolutions],
        "conv_kernel": _KERNELS,
        "conv_stride": _STRIDES,
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in state,
        "feat_extract_norm": "layer" if stable else "group",
        "do_stable_layer_norm": stable,
        "num_conv_pos_embeddings": int(position.shape[2]),
        "num_conv_pos_embedding_groups": int(hidden) // int(position.shape[1]),
        "layerdrop": 0.0,
        **({} if "masked_spec_embed" in state else {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}),
        "vocab_size": 32,
    }
