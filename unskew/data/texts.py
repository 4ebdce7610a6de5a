"""Texts as token ids: a vocabulary of words and punctuation, counted on the training texts.

id 0 = padding, 1 = a word that is not in the vocabulary, 2 … = words by falling frequency
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.schemas.params import InputShape

PADDING, UNKNOWN, FIRST = 0, 1, 2
_SEEN_ONCE = 1  # words seen no more often than this teach a model nothing
_TOKEN = re.compile(r"\[sep\]|\w+(?:'\w+)*|[^\w\s]")  # [sep] parts the two texts of a pair


def tokens(text: str) -> list[str]:
    """Words (an apostrophe inside belongs to one) and single punctuation marks, in lower case."""
    return _TOKEN.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Turns texts into rows of ids.

    Attributes:
        words: the word of id i stands at i - 2.
        n_tokens: length of a row; longer texts are cut, shorter ones padded.
    """

    words: tuple[str, ...]
    n_tokens: int

    @classmethod
    def fit(cls, texts: Iterable[str], *, n_tokens: int, size: int) -> Vocabulary:
        """The most frequent words of training texts, ties in alphabetical order.

        Args:
            size: ids at most, padding and unknown included.
        """
        seen = Counter(word for text in texts for word in tokens(text))
        often = sorted((word for word, n in seen.items() if n > _SEEN_ONCE), key=lambda word: (-seen[word], word))
        return cls(tuple(often[: size - FIRST]), n_tokens)

    @property
    def shape(self) -> InputShape:
        return InputShape.text(self.n_tokens, FIRST + len(self.words))

    def encode(self, content: Sequence[str]) -> NDArray[np.int32]:
        """int32 (n, n_tokens)."""
        number = {word: i for i, word in enumerate(self.words, start=FIRST)}
        made = np.full((len(content), self.n_tokens), PADDING, dtype=np.int32)
        for row, text in zip(made, content, strict=True):
            ids = [number.get(word, UNKNOWN) for word in tokens(text)[: self.n_tokens]]
            row[: len(ids)] = ids
        return made

    def describe(self) -> dict[str, Any]:
        """JSON, kept beside the arrays."""
        return {"words": self.words, "n_tokens": self.n_tokens}
