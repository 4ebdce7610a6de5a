"""One image file's bytes to pixels: RGB, upright, short side fitted, centre-cropped."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})

_TURNED = frozenset({"JPEG", "MPO", "TIFF", "WEBP"})  # formats whose files say which side is up


class UnreadableImage(Exception):
    """These bytes are no image that can be used; the text says why."""


def open_rgb(content: bytes, *, at_least: int | None = None) -> Image.Image:
    """Decode to an upright 8-bit RGB image.

    Alpha is dropped, 16-bit grey is scaled to 8 bits, of an animation the first frame is taken.

    Args:
        content: the file's bytes.
        at_least: a side in pixels that is enough for both sides; large JPEGs are then decoded smaller, which is faster.
    Raises:
        UnreadableImage: truncated, damaged, too large to be safe (Pillow's limit), or of a kind without 8-bit colours.
    """
    try:
        image = Image.open(BytesIO(content))
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise UnreadableImage(f"is {image.width} × {image.height} pixels; the limit is {limit:,} in all")
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        image.load()
        upright = ImageOps.exif_transpose(image) if image.format in _TURNED else image
        return _to_rgb(upright)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage(f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableImage("is not an image of a known format") from None
    except Exception as error:  # damaged files make Pillow's readers raise errors of a dozen kinds
        raise UnreadableImage(f"is truncated or damaged ({str(error) or type(error).__name__})") from error


def to_pixels(content: bytes, image_size: int) -> NDArray[np.uint8]:
    """Decode, fit the short side, crop the centre.

    An image whose short side is `image_size` already is not resampled.

    Returns:
        uint8 (3, image_size, image_size).
    Raises:
        UnreadableImage: as `open_rgb`.
    """
    image = open_rgb(content, at_least=2 * image_size)  # twice: the last halving is done with care
    short = min(image.size)
    if short != image_size:
        scale = image_size / short
        size = (max(image_size, round(image.width * scale)), max(image_size, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (image.width - image_size) // 2, (image.height - image_size) // 2
    if image.size != (image_size, image_size):
        image = image.crop((left, top, left + image_size, top + image_size))
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise UnreadableImage(f"has {image.mode!r} pixels (32-bit); save it with 8 bits a channel")
    if image.mode == "P":  # straight to RGB, Pillow warns about palettes with transparency
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")
