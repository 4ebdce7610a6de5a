"""The experiments of the paper as data: sets, models, settings (App. D.2) and published figures (Tables 1 to 3).

Source: Jain et al., Better than Balancing: Debiasing through Data Attribution. Accuracies are in percent. Table 1 gives
81.54 as TRAK's worst group on MultiNLI, which is its balanced accuracy in Table 2; Table 2's 75.46 stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from unskew.schemas.enums import Layout, Method
from unskew.schemas.params import TrainParams

Weights = Literal["", "resnet", "bert"]


class Published(NamedTuple):
    """Percent; None where the paper gives no figure."""

    worst: float
    balanced: float | None = None
    overall: float | None = None  # of all of ImageNet


@dataclass(frozen=True)
class Experiment:
    """One set with the planted or known bias that the paper tells.

    Attributes:
        attribute: the bias; read by the methods that may, and for evaluation.
        train: of ERM, and of the methods that start from it or drop rows.
        reweighted: of RWG, SUBG, GroupDRO and JTT; None: the same.
        pretrained: which weights the paper starts from; they come from a local file only.
        unsaid: what the paper does not say, and what is done here.
    """

    key: str
    title: str
    layout: Layout
    attribute: str
    train: TrainParams
    published: Mapping[Method, Published]
    reweighted: TrainParams | None = None
    image_size: int = 224
    n_tokens: int = 0
    pretrained: Weights = ""
    unsaid: str = ""


def _adam(epochs: int, batch_size: int, learning_rate: float, weight_decay: float) -> TrainParams:
    return TrainParams(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        optimizer="adam",
        schedule="constant",
    )


_FACES = "The size of the images is not given; 75 px as in Jain et al. (2022)."
EXPERIMENTS = (
    Experiment(
        key="celeba_age",
        title="CelebA-Age",
        layout=Layout.CELEBA_AGE,
        attribute="gender",
        train=_adam(5, 512, 1e-3, 1e-4),
        image_size=75,
        unsaid=_FACES,
        published={
            Method.ERM: Published(56.65, 77.96),
            Method.AUTO_TRAK: Published(75.97, 80.05),
            Method.JTT: Published(60.95, 68.06),
            Method.DFR: Published(70.37, 80.69),
            Method.TRAK: Published(75.55, 81.05),
            Method.RWG: Published(75.64, 80.66),
            Method.SUBG: Published(68.49, 77.57),
            Method.GROUP_DRO: Published(74.80, 80.88),
        },
    ),
    Experiment(
        key="celeba_blond",
        title="CelebA-Blond",
        layout=Layout.CELEBA_BLOND,
        attribute="gender",
        train=_adam(10, 512, 1e-3, 1e-4),
        image_size=75,
        unsaid=_FACES,
        published={
            Method.ERM: Published(45.86, 82.59),
            Method.AUTO_TRAK: Published(83.77, 91.01),
            Method.JTT: Published(81.61, 92.01),
            Method.DFR: Published(88.40, 91.93),
            Method.TRAK: Published(90.03, 91.08),
            Method.RWG: Published(88.40, 90.42),
            Method.SUBG: Published(88.26, 91.30),
            Method.GROUP_DRO: Published(90.61, 91.83),
        },
    ),
    Experiment(
        key="waterbirds",
        title="Waterbirds",
        layout=Layout.WATERBIRDS,
        attribute="place",
        train=_adam(20, 32, 1e-4, 1e-4),
        reweighted=_adam(20, 32, 1e-5, 0.1),
        pretrained="resnet",
        published={
            Method.ERM: Published(57.85, 83.40),
            Method.AUTO_TRAK: Published(81.04, 90.36),
            Method.JTT: Published(63.61, 85.24),
            Method.DFR: Published(88.96, 90.89),
            Method.TRAK: Published(87.15, 91.46),
            Method.RWG: Published(81.21, 86.51),
            Method.SUBG: Published(85.46, 86.97),
            Method.GROUP_DRO: Published(72.47, 86.51),
        },
    ),
    Experiment(
        key="multinli",
        title="MultiNLI",
        layout=Layout.MULTINLI,
        attribute="negation",
        train=TrainParams(epochs=3, batch_size=32, learning_rate=2e-5, weight_decay=0),
        n_tokens=128,
        pretrained="bert",
        unsaid="The settings are not given; BERT's as in Sagawa et al. (2020). The paper chose Auto-TRAK's component "
        "by inspection; here it is the direction that is offered first.",
        published={
            Method.ERM: Published(67.19, 80.92),
            Method.AUTO_TRAK: Published(74.7),
            Method.JTT: Published(72.6, 78.6),
            Method.DFR: Published(74.7, 82.1),
            Method.TRAK: Published(75.46, 81.54),
            Method.RWG: Published(68.41, 78.61),
            Method.SUBG: Published(67.76, 73.64),
            Method.GROUP_DRO: Published(77.7, 81.4),
        },
    ),
)
METHODS = tuple(EXPERIMENTS[0].published)

# Section F.2: class and attribute of the subpopulations that were left out of CelebA-Age, and what came of it.
EXCLUDED = (
    ("young", "Gray_Hair"),
    ("old", "5_o_Clock_Shadow"),
    ("old", "Bushy_Eyebrows"),
    ("young", "Blond_Hair"),
    ("old", "Sideburns"),
)
EXCLUDED_PUBLISHED = Published(68.4)


@dataclass(frozen=True)
class ImageNetClass:
    """One class of Table 3 and Figure 4, with its bias in the paper's words."""

    synset: str
    name: str
    bias: str
    published: Mapping[Method, Published]


IMAGENET_TRAIN = TrainParams(epochs=16, batch_size=512, learning_rate=1e-3, weight_decay=5e-5)
IMAGENET_UNSAID = "Model and settings are not given; a ResNet-18, 16 epochs of AdamW at 224 px."
IMAGENET_ATTRIBUTE = "bias"  # of a table attributes.csv with labels by hand, beside the images
IMAGENET_CLASSES = (
    ImageNetClass(
        "n02114712",
        "red wolf",
        "red coat",
        {
            Method.ERM: Published(22.62, 46.87, 63.97),
            Method.TRAK: Published(52.38, 65.63, 63.71),
            Method.AUTO_TRAK: Published(39.29, 59.94, 63.87),
        },
    ),
    ImageNetClass(
        "n01440764",
        "tench",
        "presence of human",
        {
            Method.ERM: Published(78.12, 85.10, 63.97),
            Method.TRAK: Published(86.88, 90.73, 63.84),
            Method.AUTO_TRAK: Published(80.00, 86.67, 63.97),
        },
    ),
    ImageNetClass(
        "n07715103",
        "cauliflower",
        "not cooked",
        {
            Method.ERM: Published(63.64, 77.81, 63.97),
            Method.TRAK: Published(79.55, 85.77, 63.70),
            Method.AUTO_TRAK: Published(79.40, 86.73, 63.75),
        },
    ),
    ImageNetClass(
        "n07745940",
        "strawberry",
        "not on a plate",
        {
            Method.ERM: Published(35.58, 58.93, 63.97),
            Method.TRAK: Published(51.92, 70.49, 63.88),
            Method.AUTO_TRAK: Published(50.48, 68.99, 63.79),
        },
    ),
)
