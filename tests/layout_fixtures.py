"""Tiny sets in the exact layouts of the public ones: same names, headers and numbering, generated pixels.

Sizes are chosen so that every group has its own count: a reader that numbers groups otherwise cannot pass.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

# group = 2 * y + a, counts per split
BIRDS = {0: (14, 3, 2, 8), 1: (4, 4, 3, 3), 2: (5, 5, 4, 4)}
FACES = {0: (9, 7, 6, 2), 1: (4, 3, 3, 2), 2: (3, 4, 2, 2)}  # by blond and male
SYNSETS = ("n01440764", "n02114548", "n07715103", "n07745940")

_rng = np.random.default_rng(0)


def paint(path: Path, *, tint: tuple[int, int, int] = (0, 0, 0), size: tuple[int, int] = (16, 16)) -> None:
    """Noise around a colour, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = _rng.integers(0, 90, (size[1], size[0], 3))
    Image.fromarray((noise + np.array(tint)).clip(0, 255).astype(np.uint8)).save(path)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def spread(counts: dict[int, tuple[int, ...]]) -> list[tuple[int, int, int]]:
    """(split, y, a) of every example, the groups interleaved as in a real file."""
    rows = [(split, g // 2, g % 2) for split, sizes in counts.items() for g, n in enumerate(sizes) for _ in range(n)]
    return [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]


def _tint(y: int, a: int) -> tuple[int, int, int]:
    return (160 * y, 80, 160 * a)


def waterbirds(root: Path, *, times: int = 1) -> Path:
    """group_DRO and WILDS: metadata.csv beside the images."""
    counts = {split: tuple(times * n for n in sizes) for split, sizes in BIRDS.items()}
    rows = []
    for i, (split, y, a) in enumerate(spread(counts)):
        name = f"{i + 1:03d}.{'Laysan_Albatross' if y else 'Acadian_Flycatcher'}/bird_{i:04d}.jpg"
        paint(root / name, tint=_tint(y, a))
        rows.append((i + 1, name, y, split, a, f"/{'o/ocean' if a else 'b/bamboo_forest'}/{i:08d}.jpg"))
    write_csv(root / "metadata.csv", ("img_id", "img_filename", "y", "split", "place", "place_filename"), rows)
    return root


def waterbirds_subpop(root: Path) -> Path:
    """BalancingGroups and SubpopBench: metadata_waterbirds.csv, images in a folder beside it."""
    rows = []
    for i, (split, y, a) in enumerate(spread(BIRDS)):
        paint(root / "waterbird_complete95_forest2water2" / f"b/{i}.jpg", tint=_tint(y, a))
        rows.append((i, f"b/{i}.jpg", split, y, a))
    write_csv(root / "metadata_waterbirds.csv", ("id", "filename", "split", "y", "a"), rows)
    return root


ATTRIBUTES = ("5_o_Clock_Shadow", "Blond_Hair", "Bushy_Eyebrows", "Gray_Hair", "Male", "Sideburns", "Young")


def celeba(root: Path, *, text: bool = False, rows: Sequence[dict[str, int]] | None = None) -> Path:
    """The two lists as csv or as the authors' txt, and img_align_celeba/ with 178 : 218 images."""
    if rows is None:
        rng = np.random.default_rng(2)
        rows = [
            {n: 2 * int(rng.integers(2)) - 1 for n in ATTRIBUTES}
            | {"Blond_Hair": 2 * y - 1, "Male": 2 * a - 1, "split": s}
            for s, y, a in spread(FACES)
        ]
    names = [f"{i + 1:06d}.jpg" for i in range(len(rows))]
    for name, row in zip(names, rows, strict=True):
        paint(root / "img_align_celeba" / name, tint=_tint(row["Blond_Hair"] > 0, row["Male"] > 0), size=(18, 22))
    values = [[row[name] for name in ATTRIBUTES] for row in rows]
    if text:
        lines = [f"{name} {' '.join(f'{v:2d}' for v in line)}" for name, line in zip(names, values, strict=True)]
        (root / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), " ".join(ATTRIBUTES), *lines]) + "\n")
        parts = [f"{name} {row['split']}" for name, row in zip(names, rows, strict=True)]
        (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    else:
        write_csv(
            root / "list_attr_celeba.csv",
            ("image_id", *ATTRIBUTES),
            [(name, *line) for name, line in zip(names, values, strict=True)],
        )
        parts = [(name, row["split"]) for name, row in zip(names, rows, strict=True)]
        write_csv(root / "list_eval_partition.csv", ("image_id", "partition"), parts)
    return root


def faces_by_age(counts: dict[int, tuple[int, int, int, int]]) -> list[dict[str, int]]:
    """Rows for `celeba` with n (old woman, old man, young woman, young man) per split, interleaved."""
    rng = np.random.default_rng(3)
    return [
        {n: 2 * int(rng.integers(2)) - 1 for n in ATTRIBUTES} | {"Young": 2 * y - 1, "Male": 2 * a - 1, "split": s}
        for s, y, a in spread(counts)
    ]


def imagenet(root: Path, *, a_class: int = 20, kind: str = "torchvision") -> Path:
    """Class folders by synset; kind: torchvision, kaggle or tiny."""
    inside = root / "ILSVRC/Data/CLS-LOC" if kind == "kaggle" else root
    deeper = "images/" if kind == "tiny" else ""
    words = {"n01440764": "tench, Tinca tinca", "n02114548": "white wolf", "n07715103": "cauliflower"}
    answers = []
    for c, synset in enumerate(SYNSETS):
        for i in range(a_class + c):
            paint(inside / "train" / synset / f"{deeper}{synset}_{i}.JPEG", tint=(60 * c, 90, 30))
        for i in range(5):
            name = f"ILSVRC2012_val_{5 * c + i:08d}.JPEG"
            place = synset if kind == "torchvision" else deeper.rstrip("/")
            paint(inside / "val" / place / name, tint=(60 * c, 90, 30))
            answers.append((name, synset))
    if kind == "kaggle":
        rows = [(name.removesuffix(".JPEG"), f"{synset} 1 2 3 4 ") for name, synset in answers]
        write_csv(root / "LOC_val_solution.csv", ("ImageId", "PredictionString"), rows)
        (root / "LOC_synset_mapping.txt").write_text("".join(f"{s} {w}\n" for s, w in words.items()))
    if kind == "tiny":
        (root / "val/val_annotations.txt").write_text("".join(f"{n}\t{s}\t0\t0\t9\t9\n" for n, s in answers))
        (root / "words.txt").write_text("".join(f"{s}\t{w}\n" for s, w in words.items()))
    return root


def camelyon17(root: Path) -> Path:
    """WILDS: five hospitals; hospital 1 is validation, 2 is test, split 1 elsewhere in-distribution validation."""
    rows = []
    for i in range(40):
        patient, hospital, tumor = f"{4 + i % 3:03d}", i % 5, i // 5 % 2
        rows.append((i, patient, 1, 100 + i, 200, tumor, i % 7, hospital, int(i >= 35)))
        stem = f"patient_{patient}_node_1"
        paint(root / "patches" / stem / f"patch_{stem}_x_{100 + i}_y_200.png")
    header = ("", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")
    write_csv(root / "metadata.csv", header, rows)
    return root


def iwildcam(root: Path) -> Path:
    """WILDS: camera traps; in-distribution splits beside the others."""
    rows = []
    for i, split in enumerate(["train"] * 12 + ["val"] * 6 + ["test"] * 4 + ["id_val"] * 3):
        paint(root / "train" / f"{i}.jpg")
        rows.append((split, i % 5, 180 + i % 2, f"{i}.jpg", f"seq{i}"))
    write_csv(root / "metadata.csv", ("split", "location_remapped", "y", "filename", "seq_id"), rows)
    write_csv(root / "categories.csv", ("y", "category_id", "name"), [(180, 7, "ocelot"), (181, 9, "agouti")])
    return root


def arrays(root: Path, *, per_split: bool = False) -> Path:
    """`.npz` with colour images in one array, or MedMNIST's six arrays of grey ones."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    sizes = {"train": 12, "val": 6, "test": 4}
    if per_split:
        named = {f"{s}_images": rng.integers(0, 256, (n, 9, 9), dtype=np.uint8) for s, n in sizes.items()}
        named |= {f"{s}_labels": np.arange(n, dtype=np.uint8)[:, None] % 3 for s, n in sizes.items()}
        np.savez_compressed(root / "medmnist.npz", **named)
        return root / "medmnist.npz"
    n = sum(sizes.values())
    np.savez(
        root / "set.npz",
        images=rng.integers(0, 256, (n, 3, 10, 8), dtype=np.uint8),
        labels=np.arange(n) % 2,
        split=np.array([s for s, size in sizes.items() for _ in range(size)]),
        site=np.arange(n) % 3,
        class_names=np.array(["cat", "dog"]),
        embedding=np.zeros((n, 4)),
    )
    return root / "set.npz"
