"""Which layout a source has, and who reads it. `recognise` looks at names and headers only, never at images.

A layout is one entry of `READERS`: how to tell it, and a reader that turns it into `Rows`. To add one, write the two
functions in a file of this folder and list them here, the more special one first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unskew.data.folder import is_folder, read_folder
from unskew.data.layouts import arrays, celeba, civilcomments, imagenet, metadata, multinli, wilds
from unskew.data.manifest import is_manifest, read_manifest
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.errors import DataError, SettingsError
from unskew.plugins import call
from unskew.schemas.enums import Layout
from unskew.schemas.params import ImportParams

Read = Callable[[Path, ImportParams, Problems], Rows | None]


@dataclass(frozen=True)
class Reader:
    """One layout: `recognise` says whether a source has it, `read` turns it into rows or says what is missing."""

    layout: Layout
    recognise: Callable[[Path], bool]
    read: Read


READERS = (
    Reader(Layout.NPZ, arrays.is_archive, arrays.read),
    Reader(Layout.CIVILCOMMENTS, civilcomments.recognise, civilcomments.read),
    Reader(Layout.MANIFEST, is_manifest, read_manifest),
    Reader(Layout.CELEBA_BLOND, celeba.recognise, celeba.read_blond),
    Reader(Layout.CELEBA_AGE, lambda _: False, celeba.read_age),  # the same files: only when asked for
    Reader(Layout.WATERBIRDS, metadata.is_waterbirds, metadata.read_waterbirds),
    Reader(Layout.CAMELYON17, wilds.is_camelyon17, wilds.read_camelyon17),
    Reader(Layout.IWILDCAM, wilds.is_iwildcam, wilds.read_iwildcam),
    Reader(Layout.GROUP_METADATA, metadata.recognise, metadata.read),
    Reader(Layout.IMAGENET, imagenet.recognise, imagenet.read),
    Reader(Layout.MULTINLI, multinli.recognise, multinli.read),
    Reader(Layout.FOLDER, is_folder, read_folder),
)


OF_TEXTS = (Layout.MANIFEST, Layout.MULTINLI, Layout.CIVILCOMMENTS)  # the others hold images


def recognise(source: Path) -> Layout | None:
    """The layout of an existing file or folder; None when it has none that is known."""
    return next((reader.layout for reader in READERS if reader.recognise(source)), None)


def read(layout: Layout | str, source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Every row of a source in this layout; None when it cannot be read, with the reason among the problems.

    Args:
        layout: one of ours, or the import path of a reader of one's own: it is called with the source and returns Rows.
    """
    if not isinstance(layout, Layout):
        return _own(layout, source, problems)
    reader = next(reader for reader in READERS if reader.layout is layout)
    return reader.read(source, params, problems)


def _own(path: str, source: Path, problems: Problems) -> Rows | None:
    try:
        made = call(path, "reader", source)
    except (DataError, SettingsError) as error:
        problems.add(None, "layout", path, str(error))
        return None
    if not isinstance(made, Rows):
        message = f"The reader {path!r} returned {type(made).__name__}. Let it return unskew.data.Rows."
    elif uneven := made.uneven():
        message = f"The reader {path!r} returned {len(made.paths)} paths, but {uneven}. Give one a row."
    else:
        return made
    problems.add(None, "layout", path, message)
    return None
