"""Data sets: what a lab is promised about them."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dltutor import data
from dltutor.data import Dataset, load
from dltutor.errors import DltutorError, UsageError

PLANAR = ["corner", "circles", "moons", "xor", "spiral", "blobs"]
QUICK = ["line", *PLANAR, "diabetes", "breast_cancer", "digits"]  # all that need not import scikit-learn


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def numbered(count: int) -> Dataset:
    """Samples whose input says which one it is, and whose target is ten times that."""
    x = np.arange(count, dtype=np.float32).reshape(-1, 1)
    return Dataset(x, 10 * x, x[:1], x[:1], ("number",))


# ---------------------------------------------------------------- every set


@pytest.mark.parametrize("name", [*QUICK, "regression"])
def test_a_set_keeps_the_promises_about_shapes_and_dtypes(name: str) -> None:
    d = load(name, points=50, noise=0.1, rng=rng())
    for x, t in ((d.x, d.t), (d.test_x, d.test_t)):
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        assert x.shape == (len(x), len(d.features))
        assert t.flags.c_contiguous
        assert (t.dtype, t.shape) in [(np.float32, (len(x), 1)), (np.int32, (len(x),))]
        assert np.isfinite(x).all()
    if d.classes:
        assert set(np.unique(d.t)) == set(range(len(d.classes)))


@pytest.mark.parametrize("name", [*QUICK, "regression"])
def test_the_same_seed_gives_the_same_samples_and_another_seed_others(name: str) -> None:
    first, again, other = (load(name, points=50, noise=0.1, rng=rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.x, again.x)
    assert np.array_equal(first.test_t, again.test_t)
    assert not np.array_equal(first.x, other.x)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no data set 'titanic'") as caught:
        load("titanic", rng=rng())
    assert "moons" in caught.value.hint
    assert "digits" in caught.value.hint


def test_the_bundled_tables_are_read_without_importing_scikit_learn() -> None:
    program = """
import sys, numpy
from dltutor.data import load
for name in ("line", "moons", "diabetes", "breast_cancer", "digits"):
    load(name, rng=numpy.random.default_rng(0))
print(sorted(m for m in ("sklearn", "scipy", "numba") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- batches


def test_an_epoch_takes_every_sample_once_and_its_last_batch_is_the_rest() -> None:
    d, r = numbered(10), rng()
    batches = [d.batch(4, r)[0].ravel().tolist() for _ in range(3)]
    assert [len(b) for b in batches] == [4, 4, 2]
    assert sorted(i for b in batches for i in b) == list(range(10))
    following = [d.batch(4, r)[0].ravel().tolist() for _ in range(3)]
    assert sorted(i for b in following for i in b) == list(range(10))
    assert following != batches


def test_a_batch_keeps_inputs_and_targets_together() -> None:
    d, r = numbered(30), rng()
    for _ in range(10):
        x, t = d.batch(7, r)
        assert np.array_equal(t, 10 * x)


def test_batches_follow_from_the_seed() -> None:
    runs = [[d.batch(8, r)[0].copy() for _ in range(9)] for d, r in ((numbered(30), rng(5)) for _ in range(2))]
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


def test_a_batch_as_large_as_the_set_is_the_set_itself_and_draws_nothing() -> None:
    d, r = numbered(5), rng()
    x, t = d.batch(100, r)
    assert x is d.x
    assert t is d.t
    assert r.integers(1000) == rng().integers(1000)


def test_batches_reuse_one_buffer_that_grows_only_for_a_larger_size() -> None:
    d, r = numbered(40), rng()
    first = d.batch(8, r)[0]
    assert np.shares_memory(first, d.batch(8, r)[0])
    assert np.shares_memory(first, d.batch(4, r)[0])
    larger = d.batch(12, r)[0]
    assert larger.shape == (12, 1)
    assert larger.flags.c_contiguous


# ---------------------------------------------------------------- splitting and scaling


def test_a_split_deals_every_sample_to_one_side() -> None:
    x = np.arange(40.0).reshape(-1, 1)
    (train_x, train_t), (test_x, test_t) = data.split(x, 2 * x, rng())
    assert len(test_x) == 10
    assert sorted([*train_x.ravel(), *test_x.ravel()]) == list(range(40))
    assert np.array_equal(train_t, 2 * train_x)
    assert np.array_equal(test_t, 2 * test_x)


def test_standardising_is_fitted_on_the_training_samples_alone() -> None:
    raw = load("diabetes", rng=rng())
    scaled = raw.standardised()
    assert np.allclose(scaled.x.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(scaled.x.std(axis=0), 1, atol=1e-5)
    assert np.allclose(scaled.test_x * scaled.std + scaled.mean, raw.test_x, rtol=1e-4)
    assert not np.allclose(scaled.test_x.mean(axis=0), 0, atol=1e-3)


def test_standardising_by_hand() -> None:
    """1, 2, 3, 6 have mean 3 and variance (4 + 1 + 0 + 9) / 4 = 3.5; the second column never varies."""
    x = np.array([[1, 7], [2, 7], [3, 7], [6, 7]], np.float32)
    d = Dataset(x, x[:, :1], x[:1], x[:1, :1], ("a", "b")).standardised()
    assert d.mean.tolist() == [3, 7]
    assert d.std == pytest.approx([3.5**0.5, 1])
    assert d.x[:, 0] == pytest.approx(np.array([-2, -1, 0, 3]) / 3.5**0.5)
    assert d.x[:, 1].tolist() == [0, 0, 0, 0]


def test_standardising_twice_still_remembers_the_way_back() -> None:
    raw = load("diabetes", rng=rng())
    twice = raw.standardised().standardised()
    assert np.allclose(twice.x * twice.std + twice.mean, raw.x, rtol=1e-3, atol=1e-3)


def test_choosing_features_by_name() -> None:
    d = load("diabetes", rng=rng()).standardised()
    two = d.only("bp", "bmi")
    assert two.features == ("bp", "bmi")
    assert np.array_equal(two.x, d.x[:, [3, 2]])
    assert np.array_equal(two.std, d.std[[3, 2]])
    with pytest.raises(UsageError, match="no feature 'height'"):
        d.only("height")


# ---------------------------------------------------------------- what each set is


@pytest.mark.parametrize("name", ["line", "regression", *PLANAR])
@pytest.mark.parametrize(("points", "to_test"), [(4, 100), (150, 150)])
def test_a_made_up_set_has_as_many_samples_as_asked_for_and_enough_to_test_on(
    name: str, points: int, to_test: int
) -> None:
    d = load(name, points=points, rng=rng())
    assert (len(d), len(d.test_x)) == (points, to_test)


def test_line_lies_on_3x_plus_2_when_there_is_no_noise() -> None:
    d = load("line", points=50, noise=0, rng=rng())
    assert np.allclose(d.t, 3 * d.x + 2, atol=1e-5)


def test_the_noise_of_line_has_the_spread_asked_for() -> None:
    d = load("line", points=4000, noise=0.5, rng=rng())
    assert np.std(d.t - (3 * d.x + 2)) == pytest.approx(0.5, rel=0.05)


def test_of_the_ten_features_of_regression_three_count() -> None:
    d = load("regression", points=300, noise=0, rng=rng())
    weights, *_rest = np.linalg.lstsq(d.x, d.t.ravel(), rcond=None)
    assert np.sum(np.abs(weights) > 1e-3) == 3
    assert np.allclose(d.test_x @ weights, d.test_t.ravel(), atol=1e-3)


def test_corner_is_the_corner() -> None:
    d = load("corner", points=400, rng=rng())
    assert np.array_equal(d.t.ravel() == 1, (d.x[:, 0] > 0.5) & (d.x[:, 1] > 0.5))


def test_circles_lie_at_half_and_at_one() -> None:
    d = load("circles", points=100, rng=rng())
    assert np.allclose(np.hypot(d.x[:, 0], d.x[:, 1]), np.where(d.t.ravel() == 1, 0.5, 1), atol=1e-6)


def test_xor_is_where_the_signs_differ() -> None:
    d = load("xor", points=100, rng=rng())
    assert np.array_equal(d.t.ravel() == 1, np.sign(d.x[:, 0]) != np.sign(d.x[:, 1]))


@pytest.mark.parametrize("name", ["moons", "spiral", "blobs"])
def test_the_nearest_other_sample_is_of_the_same_class(name: str) -> None:
    """Without noise the classes are apart, however bent: the nearest neighbour tells the class."""
    d = load(name, points=200, rng=rng())
    distance = np.linalg.norm(d.x[:, None] - d.x[None], axis=2) + 1e9 * np.eye(len(d))
    same = d.t[distance.argmin(axis=1)] == d.t
    assert same.mean() >= 0.99


@pytest.mark.parametrize("name", ["circles", "moons", "spiral", "blobs"])
def test_half_the_samples_are_of_either_class(name: str) -> None:
    assert load(name, points=100, rng=rng()).t.sum() == 50


@pytest.mark.parametrize("name", PLANAR)
def test_noise_moves_the_points_and_leaves_their_classes(name: str) -> None:
    still, moved = (load(name, points=500, noise=noise, rng=rng()) for noise in (0.0, 0.2))
    assert np.array_equal(still.t, moved.t)
    assert np.std(moved.x - still.x) == pytest.approx(0.2, rel=0.1)


# ---------------------------------------------------------------- scikit-learn's tables


def rows(d: Dataset) -> np.ndarray:
    """All samples with their targets, in sorted order."""
    table = np.column_stack([np.vstack([d.x, d.test_x]), np.concatenate([d.t.ravel(), d.test_t.ravel()])])
    return table[np.lexsort(table.T)]


@pytest.mark.parametrize("moved", [False, True])
def test_the_real_sets_are_those_of_scikit_learn(moved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether read from its files, or, where those have moved, through its own functions."""
    from sklearn import datasets

    if moved:
        monkeypatch.setattr(data, "_table", lambda *_args, **_more: None)
    x, t = datasets.load_diabetes(return_X_y=True, scaled=False)
    assert np.array_equal(rows(load("diabetes", rng=rng())), rows(whole(x, t)))
    x, t = datasets.load_breast_cancer(return_X_y=True)
    cancer = load("breast_cancer", rng=rng())
    assert np.array_equal(rows(cancer), rows(whole(x, 1 - t)))
    assert cancer.features == tuple(datasets.load_breast_cancer().feature_names)
    x, t = datasets.load_digits(return_X_y=True)
    assert np.array_equal(rows(load("digits", rng=rng())), rows(whole(x / 16, t)))


def whole(x: np.ndarray, t: np.ndarray) -> Dataset:
    return Dataset(np.float32(x), np.float32(t), np.float32(x[:0]), np.float32(t[:0]), ())


def test_class_1_of_breast_cancer_is_malignant() -> None:
    d = load("breast_cancer", rng=rng())
    assert d.classes == ("benign", "malignant")
    assert d.t.sum() + d.test_t.sum() == 212
    radius = d.x[:, d.features.index("mean radius")]
    assert radius[d.t.ravel() == 1].mean() > radius[d.t.ravel() == 0].mean()


# ---------------------------------------------------------------- Fashion-MNIST


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_fashion(folder: Path, packed: bool) -> None:
    """Twenty pictures to train on and ten to test on; picture k is of brightness 10 k and class k % 10."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 20), ("t10k", 10)):
        k = np.arange(count)
        images = np.broadcast_to(10 * k[:, None, None], (count, 28, 28))
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", k % 10)):
            name = f"{part}-{kind}" + (".gz" if packed else "")
            folder.joinpath(name).write_bytes(gzip.compress(idx(array)) if packed else idx(array))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Fashion-MNIST; returns its data folder."""
    monkeypatch.delenv("DLTUTOR_FASHION_MNIST", raising=False)
    monkeypatch.setenv("DLTUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(data, "DEBIAN_FASHION", tmp_path / "debian")
    return tmp_path / "home"


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_is_read_from_the_named_folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    folder = nowhere.parent / "elsewhere"
    write_fashion(folder, packed)
    monkeypatch.setenv("DLTUTOR_FASHION_MNIST", str(folder))
    d = data.fashion(rng(), train=15, test=5)
    assert (d.x.shape, d.test_x.shape, d.t.dtype) == ((15, 784), (5, 784), np.int32)
    assert np.array_equal(np.rint(d.x[:, 0] * 25.5) % 10, d.t)
    assert len(np.unique(d.x[:, 0])) == 15


@pytest.mark.parametrize("place", ["home/fashion-mnist", "debian"])
def test_fashion_is_found_in_the_data_folder_and_where_debian_puts_it(nowhere: Path, place: str) -> None:
    write_fashion(nowhere.parent / place, packed=True)
    assert len(load("fashion", rng=rng())) == 20


def test_without_its_files_fashion_says_how_to_get_them(nowhere: Path) -> None:
    with pytest.raises(DltutorError, match="no Fashion-MNIST in") as caught:
        load("fashion", rng=rng())
    assert "apt install dataset-fashion-mnist" in caught.value.hint
    assert str(nowhere / "fashion-mnist") in caught.value.hint


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_named(nowhere: Path, packed: bool) -> None:
    folder = nowhere / "fashion-mnist"
    write_fashion(folder, packed)
    path = next(folder.glob("t10k-images-idx3-ubyte*"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DltutorError, match=r"t10k-images-idx3-ubyte(\.gz)? is no idx file"):
        load("fashion", rng=rng())
