"""How large a file may be before it is refused unread: a wrong path must not fill the memory.

Real sets lie far below: ImageNet's 1.28 M rows are a CSV of 130 MB, a camera's raw photograph is 60 MB.
"""

from __future__ import annotations

import os
from pathlib import Path

MAX_TABLE_BYTES = 2 * 1024**3
MAX_PICKLE_BYTES = 512 * 1024**2  # MultiNLI's largest has 340 MB; unfolded it is some 10 times as large
MAX_IMAGE_BYTES = 256 * 1024**2
MAX_ARRAY_BYTES = 32 * 1024**3  # an .npz, uncompressed


def too_large(file: str | Path, limit: int) -> str:
    """A sentence when the file is larger than the limit, else ""."""
    size = os.stat(file).st_size
    return "" if size <= limit else f"The file has {size:,} bytes; the limit is {limit:,}. Is it the right one?"
