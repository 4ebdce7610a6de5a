"""What a model sees of each kind of example. Images are decoded in chunks by `pixels`; the rest is encoded at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unskew.data.columns import Columns
from unskew.data.examples import Data, Examples, SplitArrays
from unskew.data.pieces import Pieces
from unskew.data.pixels import load_pixels
from unskew.data.texts import Vocabulary
from unskew.schemas.enums import DataKind, Split
from unskew.schemas.params import ImportParams, InputShape


class Encoder(Protocol):
    """Fitted on training rows: texts or rows of a table become arrays."""

    @property
    def shape(self) -> InputShape: ...
    def encode(self, content: Sequence[str]) -> NDArray[Any]: ...
    def describe(self) -> dict[str, Any]: ...


def fit_encoder(examples: Examples, params: ImportParams) -> Encoder:
    """The encoder of texts or rows; it has seen the training split only."""
    training = examples.positions(Split.TRAIN)
    if examples.kind is DataKind.TEXT and params.tokenizer:
        return Pieces.load(params.tokenizer, params.n_tokens)
    if examples.kind is DataKind.TEXT:
        texts = (examples.content[i] for i in training)
        return Vocabulary.fit(texts, n_tokens=params.n_tokens, size=params.vocabulary_size)
    return Columns.fit(examples.content, training)


def load_data(examples: Examples, params: ImportParams) -> Data:
    """Everything that a trainer takes, in memory: for notebooks and small data.

    Raises:
        DataError: an image is gone, damaged, or not the one that was checked.
    """
    encoder = None if examples.kind is DataKind.IMAGE else fit_encoder(examples, params)

    def part(split: Split) -> SplitArrays:
        rows = examples.positions(split)
        if encoder is None:
            inputs: NDArray[Any] = load_pixels(examples, split, params.image_size)
        else:
            inputs = encoder.encode([examples.content[i] for i in rows])
        attributes = {name: column[rows] for name, column in examples.attributes.items()}
        return SplitArrays(inputs, np.asarray(examples.label[rows]), attributes)

    test = part(Split.TEST)
    return Data(
        train=part(Split.TRAIN),
        validation=part(Split.VALIDATION),
        test=test if len(test) else None,
        class_names=examples.class_names,
        shape=InputShape.image(params.image_size) if encoder is None else encoder.shape,
    )
