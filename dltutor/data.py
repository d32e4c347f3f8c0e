"""Data sets: a few made from a seeded generator, a few real ones read from files. NumPy, float32, C-contiguous.

    data = load("moons", points=200, noise=0.1, rng=rng)
    x, t = data.batch(32, rng)            # x (32, D) float32, t (32, 1) float32 or (32,) int32

The only randomness is that of the `numpy.random.Generator` passed in: the same seed gives the same data, the same
split and the same batches.

scikit-learn's bundled tables are read as the files they are: importing scikit-learn itself costs seconds.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _

Rng = np.random.Generator
Table = tuple[np.ndarray, np.ndarray]  # inputs (N, D) and targets, row for row

TEST_FRACTION = 0.25  # of a real data set, held out
TEST_AT_LEAST = 100  # samples of a made-up one: as many as there are to train on, but never so few that luck decides
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's dataset-fashion-mnist puts the files


@dataclass
class Dataset:
    """Samples to train on, and others to test on that training never sees.

    Shapes   x (N, D), test_x (K, D); t (N, 1) where the target is a number or a yes/no, (N,) where it is one of many.
    Dtypes   x, test_x float32; t, test_t float32 for (N, 1), int32 class numbers for (N,). All C-contiguous.
    """

    x: np.ndarray
    t: np.ndarray
    test_x: np.ndarray
    test_t: np.ndarray
    features: tuple[str, ...]  # one name a column of x
    classes: tuple[str, ...] = ()  # name of class 0, 1, ...; none for regression
    mean: np.ndarray = field(init=False)  # (D,) what was subtracted from x: 0 until `standardised`
    std: np.ndarray = field(init=False)  # (D,) what x was then divided by: 1 until `standardised`
    _order: np.ndarray = field(init=False, repr=False)  # the samples of this epoch
    _next: int = field(init=False, repr=False, default=0)  # the place in _order where the next batch begins
    _buffers: Table = field(init=False, repr=False)  # batches are copied into these

    def __post_init__(self) -> None:
        self.mean, self.std = np.zeros(self.x.shape[1], np.float32), np.ones(self.x.shape[1], np.float32)
        self._order = np.empty(0, np.intp)
        self._buffers = self.x[:0], self.t[:0]

    def __len__(self) -> int:
        """How many samples there are to train on."""
        return len(self.x)

    def batch(self, size: int, rng: Rng) -> Table:
        """The next `size` training samples: x (B, D) and t (B, 1) or (B,).

        An epoch takes every sample once, in an order drawn anew; its last batch is shorter where `size` does not
        divide N. Where size >= N it is the training set itself, in its own order, and nothing is drawn.
        Both arrays are valid until the next call and not to be written to.
        """
        if size >= len(self.x):
            return self.x, self.t
        if self._next >= len(self._order):
            self._order, self._next = rng.permutation(len(self.x)), 0
        chosen = self._order[self._next : self._next + size]
        self._next += size
        return self._gather(chosen)

    def _gather(self, chosen: np.ndarray) -> Table:
        if len(chosen) > len(self._buffers[0]):
            self._buffers = np.empty_like(self.x[: len(chosen)]), np.empty_like(self.t[: len(chosen)])
        x, t = self._buffers[0][: len(chosen)], self._buffers[1][: len(chosen)]
        np.take(self.x, chosen, axis=0, out=x, mode="clip")  # "clip" writes straight into out; "raise" would copy first
        np.take(self.t, chosen, axis=0, out=t, mode="clip")
        return x, t

    def standardised(self) -> Dataset:
        """The same samples with every feature at mean 0 and standard deviation 1 over the *training* samples.

        x' = (x - mean) / std; a constant feature becomes 0. The test samples are moved by the training samples' mean
        and std: nothing about them may leak into training.
        """
        mean = self.x.mean(axis=0, dtype=np.float64)
        std = self.x.std(axis=0, dtype=np.float64)
        std[std == 0] = 1
        moved = replace(self, x=_float32((self.x - mean) / std), test_x=_float32((self.test_x - mean) / std))
        moved.mean, moved.std = _float32(self.mean + mean * self.std), _float32(self.std * std)
        return moved

    def only(self, *names: str) -> Dataset:
        """The same samples with only the features of these names, in this order."""
        for name in names:
            if name not in self.features:
                hint = _("choose from: {names}").format(names=", ".join(self.features))
                raise UsageError(_("no feature {name!r}").format(name=name), hint)
        columns = [self.features.index(name) for name in names]
        x, test_x = _float32(self.x[:, columns]), _float32(self.test_x[:, columns])
        chosen = replace(self, x=x, test_x=test_x, features=names)
        chosen.mean, chosen.std = self.mean[columns], self.std[columns]
        return chosen


def _float32(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)


def split(x: np.ndarray, t: np.ndarray, rng: Rng, test: float = TEST_FRACTION) -> tuple[Table, Table]:
    """Deal the samples into ones to train on and ones to test on, a fraction `test` of them, at random."""
    order = rng.permutation(len(x))
    held_out = round(len(x) * test)
    train, hidden = order[held_out:], order[:held_out]
    return (x[train], t[train]), (x[hidden], t[hidden])


def _dataset(train: Table, test: Table, features: tuple[str, ...], classes: tuple[str, ...] = ()) -> Dataset:
    """A Dataset of these tables, in the dtypes it promises. A flat t (N,) is class numbers if there are classes."""
    return Dataset(
        _float32(train[0]), _target(train[1], classes), _float32(test[0]), _target(test[1], classes), features, classes
    )


def _target(t: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    if classes and t.ndim == 1:
        return np.ascontiguousarray(t, dtype=np.int32)
    return _float32(t.reshape(len(t), 1))


# ---------------------------------------------------------------- made up: numbers to predict


def line(points: int, noise: float, rng: Rng) -> Dataset:
    """y = 3x + 2 + noise: x uniform on [0, 2), noise normal with mean 0 and this standard deviation.

    `points` samples to train on and as many, at least 100, to test on; x (points, 1), t (points, 1).
    """

    def draw(k: int) -> Table:
        x = rng.uniform(0, 2, (k, 1))
        return x, 3 * x + 2 + noise * rng.standard_normal((k, 1))

    return _dataset(draw(points), draw(max(points, TEST_AT_LEAST)), ("x",))


def regression(points: int, noise: float, rng: Rng) -> Dataset:
    """scikit-learn's `make_regression`: 10 standard normal features, of which 3 count; the other 7 have weight 0.

    Targets and noise are divided by 100, so that the true weights lie between 0 and 1 and `noise`, its standard
    deviation, means what it means for `line`. `points` samples to train on and as many, at least 100, to test on.
    """
    from sklearn.datasets import make_regression  # here: the import costs seconds

    seed = int(rng.integers(2**31))
    x, t = make_regression(
        points + max(points, TEST_AT_LEAST), 10, n_informative=3, noise=100 * noise, random_state=seed
    )
    t = t / 100
    return _dataset((x[:points], t[:points]), (x[points:], t[points:]), tuple(f"x{i}" for i in range(10)))


# ---------------------------------------------------------------- made up: classes in the plane


def corner(points: int, noise: float, rng: Rng) -> Dataset:
    """The square corner: uniform on the unit square, class 1 where x1 > 0.5 and x2 > 0.5 (about a quarter)."""

    def place(k: int) -> Table:
        x = rng.uniform(0, 1, (k, 2))
        return x, np.all(x > 0.5, axis=1)

    return _plane(place, points, noise, rng, ("outside", "corner"))


def circles(points: int, noise: float, rng: Rng) -> Dataset:
    """Class 1 on a circle of radius 0.5, class 0 on one of radius 1 around it."""

    def place(k: int) -> Table:
        t = np.arange(k) % 2
        angle, radius = rng.uniform(0, 2 * np.pi, k), np.where(t == 1, 0.5, 1.0)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), t

    return _plane(place, points, noise, rng, ("outer", "inner"))


def moons(points: int, noise: float, rng: Rng) -> Dataset:
    """Two half circles of radius 1 hooked into one another: class 0 the upper one, class 1 the lower one."""

    def place(k: int) -> Table:
        t = np.arange(k) % 2
        angle = rng.uniform(0, np.pi, k)
        x1 = np.where(t == 1, 1 - np.cos(angle), np.cos(angle))
        x2 = np.where(t == 1, 0.5 - np.sin(angle), np.sin(angle))
        return np.stack([x1, x2], axis=1), t

    return _plane(place, points, noise, rng, ("upper", "lower"))


def xor(points: int, noise: float, rng: Rng) -> Dataset:
    """Uniform on the square [-1, 1) x [-1, 1), class 1 where the signs of x1 and x2 differ."""

    def place(k: int) -> Table:
        x = rng.uniform(-1, 1, (k, 2))
        return x, x[:, 0] * x[:, 1] < 0

    return _plane(place, points, noise, rng, ("same sign", "different signs"))


def spiral(points: int, noise: float, rng: Rng) -> Dataset:
    """Two arms around each other, each 1.75 half turns long, from the centre to radius 1."""

    def place(k: int) -> Table:
        t = np.arange(k) % 2
        radius = np.sqrt(rng.uniform(0.01, 1, k))  # the square root spreads the points evenly along the arm
        angle = 1.75 * np.pi * radius + np.pi * t
        return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1), t

    return _plane(place, points, noise, rng, ("arm 0", "arm 1"))


def blobs(points: int, noise: float, rng: Rng) -> Dataset:
    """Two round heaps, normal with standard deviation 0.3 around (-0.7, -0.7) and (0.7, 0.7)."""

    def place(k: int) -> Table:
        t = np.arange(k) % 2
        centre = np.where(t == 1, 0.7, -0.7)[:, None]
        return centre + 0.3 * rng.standard_normal((k, 2)), t

    return _plane(place, points, noise, rng, ("lower left", "upper right"))


def _plane(place: Callable[[int], Table], points: int, noise: float, rng: Rng, classes: tuple[str, str]) -> Dataset:
    """`points` samples to train on and as many, at least 100, to test on: x (points, 2), t (points, 1) of 0 and 1.

    After its class is settled, each point is moved by normal noise with standard deviation `noise` along either axis.
    """

    def draw(k: int) -> Table:
        x, t = place(k)
        return x + noise * rng.standard_normal(x.shape), t.reshape(-1, 1)

    return _dataset(draw(points), draw(max(points, TEST_AT_LEAST)), ("x1", "x2"), classes)


# ---------------------------------------------------------------- real, bundled with scikit-learn


def diabetes(rng: Rng) -> Dataset:
    """442 people with diabetes: 10 measurements each, and how far the disease had gone a year later (25 to 346).

    x (N, 10) in the units of measurement; t (N, 1). Source: Efron, Hastie, Johnstone, Tibshirani 2004, Least angle
    regression, Annals of Statistics 32.
    """
    names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    files = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")
    x, t = _table(files[0], " "), _table(files[1], " ")
    if x is None or t is None:
        from sklearn.datasets import load_diabetes

        x, t = load_diabetes(scaled=False, return_X_y=True)
    return _dataset(*split(x, t, rng), features=names)


def breast_cancer(rng: Rng) -> Dataset:
    """569 breast tumours: 30 measurements of cell nuclei under the microscope; class 1 is malignant (212 of them).

    x (N, 30) in the units of measurement; t (N, 1) of 0 and 1. scikit-learn numbers the classes the other way round;
    here 1 is what a doctor looks for. Source: Street, Wolberg, Mangasarian 1993, UCI Wisconsin diagnostic data.
    """
    table = _table("breast_cancer.csv", ",", skip=1)
    if table is None:
        from sklearn.datasets import load_breast_cancer

        table = np.column_stack(load_breast_cancer(return_X_y=True))
    malignant = 1 - table[:, -1:]
    return _dataset(*split(table[:, :-1], malignant, rng), features=_NUCLEUS, classes=("benign", "malignant"))


_MEASURES = (
    "radius", "texture", "perimeter", "area", "smoothness",
    "compactness", "concavity", "concave points", "symmetry", "fractal dimension",
)  # fmt: skip
_NUCLEUS = tuple(
    [f"mean {m}" for m in _MEASURES] + [f"{m} error" for m in _MEASURES] + [f"worst {m}" for m in _MEASURES]
)


def digits(rng: Rng) -> Dataset:
    """1,797 handwritten digits, 8 x 8 pixels each, from 0 (paper) to 1 (ink), row by row.

    x (N, 64); t (N,) int32, the digit. Source: Alpaydin, Kaynak 1998, UCI optical recognition of handwritten digits.
    """
    table = _table("digits.csv.gz", ",")
    if table is None:
        from sklearn.datasets import load_digits

        table = np.column_stack(load_digits(return_X_y=True))
    pixels = tuple(f"pixel {row},{column}" for row in range(8) for column in range(8))
    return _dataset(*split(table[:, :-1] / 16, table[:, -1], rng), features=pixels, classes=tuple("0123456789"))


def _table(name: str, delimiter: str, skip: int = 0) -> np.ndarray | None:
    """The numbers in a file bundled with scikit-learn, float64; None where this version keeps it elsewhere."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DltutorError(_("scikit-learn is not installed"), _("install it: pip install scikit-learn"))
    path = Path(package.submodule_search_locations[0], "datasets", "data", name)
    if not path.is_file():
        return None
    return np.loadtxt(path, delimiter=delimiter, skiprows=skip)


# ---------------------------------------------------------------- real, from the learner's disk


FASHION_CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def fashion(rng: Rng, train: int = 12_000, test: int = 2_000) -> Dataset:
    """Fashion-MNIST: pictures of clothes, 28 x 28 pixels each, from 0 to 1, row by row.

    x (train, 784); t (train,) int32, one of 10 kinds. So many are drawn from the 60,000 training pictures and the
    10,000 test pictures: all of them would take 220 MB as float32.
    Source: Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747.
    """
    folder = fashion_folder()
    pixels = tuple(f"pixel {row},{column}" for row in range(28) for column in range(28))
    tables = (_images(folder, "train", train, rng), _images(folder, "t10k", test, rng))
    return _dataset(*tables, features=pixels, classes=FASHION_CLASSES)


def fashion_folder() -> Path:
    """The first folder that holds the four idx files. Raises DltutorError, with how to get them, where none does."""
    from dltutor.progress import home

    named = os.environ.get("DLTUTOR_FASHION_MNIST")
    own = home() / "fashion-mnist"
    folders = [Path(named)] if named else [own, DEBIAN_FASHION]
    for folder in folders:
        if all(_idx_path(folder, part, kind) for part in ("train", "t10k") for kind in _IDX_KINDS):
            return folder
    looked = _("no Fashion-MNIST in {folders}").format(folders=", ".join(map(str, folders)))
    hint = _(
        "On Debian and Ubuntu: apt install dataset-fashion-mnist. Elsewhere: put the four files "
        "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz "
        "of github.com/zalandoresearch/fashion-mnist into {folder}, or name their folder in DLTUTOR_FASHION_MNIST."
    )
    raise DltutorError(looked, hint.format(folder=own))


_IDX_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


def _idx_path(folder: Path, part: str, kind: str) -> Path | None:
    """Where `part`'s file of this kind is, packed or not; None where it is missing."""
    return next((path for end in ("", ".gz") if (path := folder / f"{part}-{kind}{end}").is_file()), None)


def _images(folder: Path, part: str, count: int, rng: Rng) -> Table:
    """`count` pictures of `part` (all where it has fewer), drawn without replacement, and their class numbers."""
    images, labels = (_idx(_idx_path(folder, part, kind)) for kind in _IDX_KINDS)  # type: ignore[arg-type]
    chosen = rng.permutation(len(labels))[:count]
    return images.reshape(len(images), -1)[chosen] / np.float32(255), labels[chosen]


def _idx(path: Path) -> np.ndarray:
    """The bytes in an idx file as an array: two zeros, type 8, number of axes, a big-endian size for each, data."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        axes = data[3] if data[:3] == b"\0\0\x08" else 0
        shape = np.frombuffer(data, ">u4", axes, offset=4).astype(int)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (ValueError, IndexError, EOFError, OSError, zlib.error) as error:
        raise DltutorError(_("{path} is no idx file of bytes").format(path=path), _("fetch it again")) from error


# ---------------------------------------------------------------- by name


MADE: dict[str, Callable[[int, float, Rng], Dataset]] = {
    "line": line, "regression": regression, "corner": corner, "circles": circles, "moons": moons,
    "xor": xor, "spiral": spiral, "blobs": blobs,
}  # fmt: skip
REAL: dict[str, Callable[[Rng], Dataset]] = {
    "diabetes": diabetes, "breast_cancer": breast_cancer, "digits": digits, "fashion": fashion,
}  # fmt: skip


def load(name: str, *, rng: Rng, points: int = 200, noise: float = 0.0) -> Dataset:
    """The data set of this name. Real ones are as large and as noisy as they are, whatever `points` and `noise` say."""
    if name in MADE:
        return MADE[name](points, noise, rng)
    if name in REAL:
        return REAL[name](rng)
    raise UsageError(
        _("no data set {name!r}").format(name=name), _("choose from: {names}").format(names=", ".join([*MADE, *REAL]))
    )
