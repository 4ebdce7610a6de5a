"""Factories by import path: what they are given, and one clear error for each way to be wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from unskew.errors import ModelError
from unskew.models import build, preprocess, resnet18, small_cnn
from unskew.schemas.params import InputShape, ModelSpec

SOURCE = """
import torch
from torch import nn


class Flat(nn.Module):
    def __init__(self, n_classes, image_size, scale=1.0):
        super().__init__()
        self.layer = nn.Linear(3 * image_size * image_size, n_classes)
        self.scale = scale

    def forward(self, x):
        return self.scale * self.layer(x.flatten(1))


def only_classes(n_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, n_classes))


def other_word(num_classes):
    return only_classes(num_classes)


def anything(**kwargs):
    return only_classes(kwargs.get("num_classes") or kwargs["n_classes"])


def lazy(n_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(n_classes))


def fixed_at_ten():
    return only_classes(10)


def needs_32(n_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, n_classes))


def returns_dict(n_classes):
    class Wrapped(nn.Module):
        def forward(self, x):
            return {"logits": x.flatten(1)[:, :n_classes]}
    return Wrapped()


def fails(n_classes):
    raise RuntimeError("no weights here")


def not_a_model(n_classes):
    return n_classes


CONSTANT = 3
"""


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user's folder with a module, as current directory."""
    (tmp_path / "own_models.py").write_text(SOURCE)
    (tmp_path / "needs_more.py").write_text("import a_package_that_is_not_there")
    (tmp_path / "wrong_syntax.py").write_text("def make(:")
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("own_models", "needs_more", "wrong_syntax"):
        sys.modules.pop(name, None)


def make(factory: str, *, seed: int = 0, image_size: int = 16, **kwargs: object) -> nn.Module:
    return build(ModelSpec(factory=factory, kwargs=kwargs), n_classes=2, shape=InputShape.image(image_size), seed=seed)


def test_small_cnn_has_the_published_size() -> None:
    model = small_cnn(2, 32)
    assert sum(p.numel() for p in model.parameters()) == 90_082


@pytest.mark.parametrize("image_size", [8, 9, 31, 32, 64])
def test_small_cnn_takes_every_size(image_size: int) -> None:
    assert make("unskew.models:small_cnn", image_size=image_size, width=4) is not None


def test_preprocess_by_hand() -> None:
    batch = torch.tensor([0, 255, 51], dtype=torch.uint8)
    assert preprocess(batch).tolist() == pytest.approx([-1.8, 2.2, -1.0])
    assert batch.tolist() == [0, 255, 51] and preprocess(batch).dtype == torch.float32


def test_resnet18_has_the_published_size_and_torchvision_s_names() -> None:
    model = resnet18(1000)
    assert sum(p.numel() for p in model.parameters()) == 11_689_512
    names = list(model.state_dict())
    assert len(names) == 122 and names[0] == "conv1.weight" and names[-1] == "fc.bias"
    assert "layer2.0.downsample.1.running_var" in names
    with torch.no_grad():
        assert resnet18(3).eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_weights_follow_from_the_seed_and_nothing_else() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    one, same, other = (make("unskew.models:small_cnn", seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("name", ["Flat", "only_classes", "other_word", "lazy"])
def test_a_users_factory_gets_what_it_accepts(name: str) -> None:
    one, same = make(f"own_models:{name}", seed=3), make(f"own_models:{name}", seed=3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert one(torch.zeros(5, 3, 16, 16)).shape == (5, 2)


@pytest.mark.usefixtures("own_models")
def test_a_users_kwargs_reach_the_factory() -> None:
    assert make("own_models:Flat", scale=2.0).scale == 2.0
    assert make("own_models:anything") is not None
    assert make("own_models:anything", num_classes=2) is not None
    with pytest.raises(ModelError, match="does not take width; it takes image_size, n_classes, scale"):
        make("own_models:Flat", width=2)


@pytest.mark.usefixtures("own_models")
def test_the_path_is_left_as_it_was() -> None:
    before = list(sys.path)
    make("own_models:only_classes")
    assert sys.path == before


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("own_models", r"is not the path of a model factory. Write it as \"package.module:function\""),
        ("own_models:", "not the path of a model factory"),
        ("no_such_module:make", "There is no module 'no_such_module'"),
        ("own_models.deeper:make", "There is no module 'own_models.deeper'"),
        ("needs_more:make", "it needs 'a_package_that_is_not_there'"),
        ("wrong_syntax:make", "Importing 'wrong_syntax' failed: SyntaxError"),
        ("own_models:nothing", "has no 'nothing'"),
        ("own_models:CONSTANT", "is a int, not a model factory"),
        ("own_models:fails", "RuntimeError: no weights here"),
        ("own_models:not_a_model", "returned int, not a torch.nn.Module"),
        ("own_models:fixed_at_ten", r"returned \(2, 10\) for a batch of 2; need logits of shape \(2, 2\)"),
        ("own_models:returns_dict", "returned dict for a batch of 2"),
        ("own_models:needs_32", r"fails on images of shape \(2, 3, 16, 16\)"),
    ],
)
def test_every_wrong_factory_has_its_message(factory: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        make(factory)
    assert caught.value.fix


@pytest.mark.usefixtures("own_models")
def test_the_missing_module_names_the_folder_that_was_searched() -> None:
    with pytest.raises(ModelError, match=os.path.basename(os.getcwd())):
        make("no_such_module:make")
