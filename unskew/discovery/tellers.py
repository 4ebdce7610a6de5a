"""What may tell the ends of a direction apart: one number an example, and words for more and for less of it.

Attributes by their values, images by simple properties, texts by the words in them, tables by their columns.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unskew.data.columns import is_numeric, number
from unskew.data.texts import tokens
from unskew.discovery.properties import PROPERTIES, Property, Words

FEWEST = 5  # examples with, and without, a value or a word
_FEWEST_SHARE = 0.01  # of the texts, likewise
_MOST_WORDS = 1_000  # the most frequent ones; every further one makes the correction harsher
_MOST_VALUES = 50  # of an attribute; more are names or paths, not groups

Source = Literal["attribute", "image", "text", "column"]


@dataclass(frozen=True)
class Teller:
    """Something that an example has more or less of.

    Attributes:
        name: "background = brick", "border: brightness", "not", "mean_radius".
        values: float64 (n,), NaN = unknown.
        is_presence: the values are 0 or 1.
        one_of_two: its opposite is a teller too; the one that the + end has more of is told.
    """

    source: Source
    name: str
    words: Words
    values: NDArray[np.float64]
    is_presence: bool = False
    one_of_two: bool = False


def of_attributes(attributes: Mapping[str, NDArray[np.str_]], source: Source = "attribute") -> list[Teller]:
    """Every value that often enough is there and is not.

    Args:
        attributes: name → str (n,), "" = missing.
    """
    made = []
    for name, column in attributes.items():
        known = column != ""
        values, counts = np.unique(column[known], return_counts=True)
        if not 2 <= len(values) <= _MOST_VALUES:
            continue
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if FEWEST <= count <= known.sum() - FEWEST:
                words = Words(f"more often {name} = {value}", f"less often {name} = {value}")
                there = np.where(known, column == value, np.nan)
                made.append(Teller(source, f"{name} = {value}", words, there, True, len(values) == 2))
    return made


def of_images(properties: Mapping[tuple[str, str], Property]) -> list[Teller]:
    """Every property in every region.

    Args:
        properties: (region, property) → (n,), from `image_properties`.
    """
    made = []
    for (region, name), values in properties.items():
        words = Words(f"{region}: {PROPERTIES[name].more}", f"{region}: {PROPERTIES[name].less}")
        made.append(Teller("image", f"{region}: {name}", words, values.astype(np.float64)))
    return made


def of_texts(texts: Sequence[str]) -> list[Teller]:
    """The length, and every word or punctuation mark that is in often enough, and not in often enough, texts."""
    found = [tokens(text) for text in texts]
    length = np.array([len(words) for words in found], dtype=np.float64)
    made = [Teller("text", "length", Words("longer", "shorter"), length)]
    within = [set(words) for words in found]
    fewest = max(FEWEST, int(np.ceil(_FEWEST_SHARE * len(texts))))
    n_with = Counter(word for words in within for word in words)
    often = [word for word, n in n_with.items() if fewest <= n <= len(texts) - fewest]
    for word in sorted(often, key=lambda word: (-n_with[word], word))[:_MOST_WORDS]:
        there = np.array([word in words for words in within], dtype=np.float64)
        said = Words(f'more often says "{word}"', f'less often says "{word}"')
        made.append(Teller("text", word, said, there, is_presence=True))
    return made


def of_rows(rows: Sequence[str], *, without: Collection[str] = ()) -> list[Teller]:
    """Numeric columns by their size, columns of words by their values.

    Args:
        rows: n JSON objects, column → cell as text; "" = missing.
        without: columns to pass over, because they are attributes too.
    """
    found = [json.loads(row) for row in rows]
    made: list[Teller] = []
    for name in found[0] if found else ():
        if name in without:
            continue
        cells = [row[name] for row in found]
        if is_numeric(cells):
            values = np.array([np.nan if (x := number(cell)) is None else x for cell in cells], dtype=np.float64)
            made.append(Teller("column", name, Words(f"larger {name}", f"smaller {name}"), values))
        else:
            made += of_attributes({name: np.array(cells, dtype=np.str_)}, "column")
    return made
