"""Decoding: colours, sizes, kinds of files, chunks, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unskew.data import Examples, SourceCheck, UnreadableImage, load_pixels, open_rgb
from unskew.data.images import to_pixels
from unskew.errors import DataError, Stopped

Check = Callable[..., SourceCheck]


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colours(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = colours(16, 16)
    assert np.array_equal(to_pixels(encoded(image), 16), np.asarray(image).transpose(2, 0, 1))


def test_the_centre_is_cropped() -> None:
    image = colours(20, 16)
    assert np.array_equal(to_pixels(encoded(image), 16), np.asarray(image)[:, 2:18].transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(31, 77), (400, 33), (5, 5), (64, 1000), (1, 9)])
def test_any_shape_fits(size: tuple[int, int]) -> None:
    flat = Image.new("RGB", size, (10, 200, 30))
    pixels = to_pixels(encoded(flat), 32)
    assert pixels.shape == (3, 32, 32) and pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    assert pixels[:, 5, 5].tolist() == [10, 200, 30]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16))
    else:
        image = Image.new("RGB", (8, 8), (128, 128, 128)).convert(mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = to_pixels(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), 8)
    assert abs(int(found.mean()) - 128) <= (128 if mode == "1" else 2)


def test_palette_with_transparency_makes_no_noise() -> None:
    image = colours(8, 8).quantize(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_pixels(encoded(image, transparency=bytes(range(8))), 8).shape == (3, 8, 8)


def test_turned_photographs_are_put_upright() -> None:
    upright = Image.new("RGB", (32, 32), (255, 0, 0))
    upright.paste((0, 0, 255), (0, 16, 32, 32))  # blue below
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° to see it upright
    stored = encoded(upright.rotate(90), "JPEG", exif=exif, quality=95)
    found = to_pixels(stored, 32)
    assert found[0, 4].mean() > 200 and found[2, 28].mean() > 200


def test_large_jpeg_is_decoded_smaller_and_much_the_same() -> None:
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    image = Image.fromarray(np.stack([np.broadcast_to(ramp, (1024, 1024))] * 3, axis=2))
    found = to_pixels(encoded(image, "JPEG", quality=95), 32).astype(int)
    plain = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1).astype(int)
    assert np.abs(found - plain).max() <= 3


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(UnreadableImage, match="is 12 × 12 pixels; the limit is 100"):
            open_rgb(encoded(colours(12, 12)))
    with pytest.raises(UnreadableImage, match="more than 200 pixels"):
        open_rgb(encoded(colours(20, 20)))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="not an image of a known format"):
        open_rgb(b"hello")
    with pytest.raises(UnreadableImage, match="'F' pixels"):
        open_rgb(encoded(Image.new("F", (4, 4)), "TIFF"))
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
        whole = encoded(colours(40, 40), kind)
        with pytest.raises(UnreadableImage):
            open_rgb(whole[: len(whole) // 2])


@pytest.fixture
def examples(digits_manifest: Path, check: Check) -> Examples:
    found = check(digits_manifest).examples
    assert found is not None
    return found


def test_chunks_make_the_whole(examples: Examples, tmp_path: Path) -> None:
    whole = load_pixels(examples, "train", 16)
    assert whole.shape == (160, 3, 16, 16)
    out = np.lib.format.open_memmap(tmp_path / "p.npy", mode="w+", dtype=np.uint8, shape=whole.shape)
    for start in range(0, 160, 70):
        part = load_pixels(examples, "train", 16, out, range(start, min(start + 70, 160)))
        assert np.shares_memory(part, out)
    assert np.array_equal(out, whole)
    assert np.array_equal(load_pixels(examples, "train", 16, rows=range(3, 5)), whole[3:5])
    row = int(examples.positions("train")[7])
    assert np.array_equal(whole[7], to_pixels(examples.file(row).read_bytes(), 16))


def test_wrong_chunks_are_our_bugs(examples: Examples) -> None:
    with pytest.raises(ValueError, match="do not lie in the 40 rows of test"):
        load_pixels(examples, "test", 16, rows=range(41))
    with pytest.raises(ValueError, match="need uint8"):
        load_pixels(examples, "test", 16, out=np.zeros((40, 3, 8, 8), dtype=np.uint8))


def test_loading_reports_and_stops(examples: Examples) -> None:
    seen: list[tuple[int, int]] = []
    load_pixels(examples, "test", 16, on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(40, 40)]
    with pytest.raises(Stopped):
        load_pixels(examples, "test", 16, should_stop=lambda: True)


def test_files_that_changed_since_the_check_are_refused(
    tmp_path: Path, paint: Callable[..., Path], manifest: Callable[..., Path], check: Check, good: list[tuple[str, ...]]
) -> None:
    found = check(manifest(good)).examples
    assert found is not None
    paint(tmp_path / "a.png", seed=77)
    with pytest.raises(DataError, match=r"a.png: The image is not the one that was checked") as caught:
        load_pixels(found, "train", 8)
    assert caught.value.rows[0].value == "a.png"
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="No such file"):
        load_pixels(found, "train", 8)
