"""Lesson 06: its lab does what its text says, and the numbers in the text are the kernels' own."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from texicode.pipeline import init_arts, render_tex_rows

from dltutor.kernels import device
from dltutor.kernels.own import compile_own
from dltutor.layers import SGD, BCEWithLogits, Dense, ReLU, Sequential, SoftmaxCrossEntropy, Tanh
from dltutor.lesson import Lesson, exercises, load
from dltutor.lesson.blocks import Block, Formula, Text, Widget, inline_math
from dltutor.pictures import Confusion, Heat, Histograms, Images

FOLDER = Path(__file__).parents[2] / "lessons" / "06-mlp"
STEPS = 1000


@cache
def lesson() -> Lesson:
    return load(FOLDER)


@cache
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lab_06", FOLDER / "lab.py")
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def ticks(seed: int = 0, **knobs: Any):
    return module().lab(SimpleNamespace(**lesson().setting(knobs)), np.random.default_rng(seed))


class Run:
    """A finished run: every metric as a column, and its last tick."""

    def __init__(self, steps: int, **knobs: Any) -> None:
        rows = []
        for tick in islice(ticks(**knobs), steps + 1):
            rows.append(tick.metrics)
            self.last = tick
        names = rows[0]
        self.columns = {name: np.array([row[name] for row in rows if row[name] is not None]) for name in names}

    def end(self, name: str, count: int = 1) -> float:
        """The mean of the last `count` values that were taken."""
        return float(self.columns[name][-count:].mean())


@cache
def run(**knobs: Any) -> Run:
    return Run(STEPS, **knobs)


# ---------------------------------------------------------------- what the text says about the runs


def test_the_default_run_bends_round_the_spirals():
    """ "It starts near ln 2, falls to about 0.37, rests, and falls on." """
    done = run()
    assert done.columns["test_accuracy"].max() >= 0.97 and done.end("test_accuracy", 10) >= 0.95
    losses = done.columns["test_loss"]
    assert abs(losses[0] - math.log(2)) < 0.4
    assert np.sum((losses > 0.3) & (losses < 0.45)) >= 5  # tests are 10 steps apart: it rests for 50 steps or longer
    assert losses[-1] < 0.15


def test_digits_reach_97_of_100():
    done = run(data="digits")
    assert done.columns["test_accuracy"].max() >= 0.97
    assert done.columns["test_accuracy"][0] < 0.3
    assert abs(done.columns["test_loss"][0] - math.log(10)) < 0.4


def test_the_test_loss_of_digits_stops_falling_while_the_batch_loss_goes_on():
    done = run(data="digits")
    assert done.end("loss", 50) < 0.02 < done.end("test_loss", 5)


def test_digits_without_a_hidden_layer_reach_96_of_100_and_make_nearly_twice_the_mistakes():
    lines, layers = (run(data="digits", hidden=hidden).end("test_accuracy", 10) for hidden in ("none", "auto"))
    assert 0.945 <= lines <= 0.975
    assert (1 - layers) < 0.75 * (1 - lines)


def test_one_line_gets_nowhere_on_xor():
    done = run(data="xor", hidden="none")
    assert 0.3 < done.end("test_accuracy", 10) < 0.75
    assert done.end("test_loss", 10) == pytest.approx(0.69, abs=0.03)
    assert np.abs(done.last.pictures()["boundary"].values - 0.5).max() < 0.35  # "the whole square stays pale"


def test_four_neurons_solve_xor():
    assert run(data="xor", hidden="4").end("test_accuracy", 10) >= 0.9


def test_layers_without_activation_draw_one_straight_line():
    done = run(data="circles", activation="none")
    assert done.end("test_accuracy", 10) < 0.7
    p = done.last.pictures()["boundary"].values.astype(np.float64)
    score = np.log(p / (1 - p))
    assert np.abs(np.diff(score, 2, axis=0)).max() < 1e-3 and np.abs(np.diff(score, 2, axis=1)).max() < 1e-3


@pytest.mark.parametrize("knobs", [{"activation": "tanh"}, {"activation": "relu", "hidden": "8"}], ids=str)
def test_with_an_activation_the_circles_are_told_apart(knobs):
    assert run(data="circles", **knobs).end("test_accuracy", 10) >= 0.97


def test_two_neurons_cannot_fence_in_a_circle_and_three_can():
    assert run(data="circles", hidden="2", lr=0.02).end("test_accuracy", 10) < 0.9
    assert run(data="circles", hidden="3", lr=0.02).end("test_accuracy", 10) > 0.95


def test_two_layers_of_eight_do_a_little_better_than_one_on_the_spirals():
    one, two = (run(hidden=hidden).end("test_accuracy", 10) for hidden in ("8", "8-8"))
    assert 0.85 <= one < two


def test_plain_gradient_descent_crawls_and_wakes_at_a_rate_of_one():
    assert run(optimizer="sgd").end("test_loss", 10) > 0.3
    assert run(optimizer="sgd", lr=1.0).end("test_loss", 10) < 0.2


def test_the_sigmoid_rests_the_whole_run():
    assert run(activation="sigmoid").end("test_loss", 10) > 0.29


def test_the_sigmoid_hands_its_first_layer_a_tenth_of_the_gradient_and_tanh_does_not():
    def share(activation: str) -> float:
        """The first layer's gradients over the last one's, in the first 50 steps."""
        sizes = [
            [float(np.abs(g).mean()) for _, value, g in tick.net.parameters() if value.ndim == 2]
            for tick in islice(ticks(activation=activation), 50)
        ]
        first, _, last = np.mean(sizes, axis=0)
        return float(first / last)

    assert share("sigmoid") < 0.2 and 0.4 < share("tanh") < 2.5


def test_a_rate_of_two_is_far_too_high():
    assert run(lr=2.0).columns["test_loss"][10:].max() > 1


def test_shuffled_labels_on_many_points_give_a_flat_curve():
    done = run(labels="shuffled")
    assert done.end("loss", 100) == pytest.approx(0.69, abs=0.06)
    assert 0.4 < done.end("test_accuracy", 10) < 0.6


def test_forty_shuffled_labels_are_learnt_by_heart():
    done = run(labels="shuffled", points=40, lr=0.01)
    assert done.end("loss", 20) == pytest.approx(0.004, abs=0.002) and done.end("test_loss") > 1.5
    assert 0.25 < done.end("test_accuracy") < 0.75


def test_shuffled_digits_part_the_two_losses():
    done = run(data="digits", labels="shuffled", activation="relu")
    assert done.end("loss", 50) < 1.5 and done.end("test_loss") > 3
    assert done.end("test_accuracy", 10) < 0.2


# ---------------------------------------------------------------- what its questions and bug hunts say


def question(id: str) -> Any:
    return next(widget.body for widget in lesson().widgets() if widget.id == id)


def with_fault(name: str, **knobs: Any) -> tuple[Run, np.ndarray]:
    """A run with the code of a bug hunt, and the picture of its answers."""
    hunt = exercises.load(lesson(), name)
    with device.replaced(compile_own(hunt.start, hunt.kernels, guarded=False)):
        done = Run(STEPS, **knobs)
        return done, done.last.pictures()["boundary"].values


def test_without_a_bias_opposite_points_get_opposite_answers():
    """ "The accuracy stays about one half, and the loss about 0.7." """
    done, answers = with_fault("lines-through-origin", data="circles")
    assert np.abs(done.columns["test_accuracy"] - 0.5).max() < 0.1
    assert done.columns["test_loss"][5:] == pytest.approx(0.7, abs=0.02)
    assert answers + answers[::-1, ::-1] == pytest.approx(1, abs=0.03)  # the picture's middle is nearly the origin


def test_without_a_bias_the_spirals_are_learnt_all_the_same():
    done, _ = with_fault("lines-through-origin", data="spiral")
    assert done.end("test_accuracy", 10) >= 0.95


def test_a_wrong_slope_of_tanh_gets_four_points_of_five():
    done, _ = with_fault("four-of-five", data="circles")
    assert done.end("test_accuracy", 10) == pytest.approx(0.8, abs=0.03)
    assert done.end("test_loss", 10) == pytest.approx(0.45, abs=0.03)
    assert run(data="circles").columns["test_accuracy"][40:].min() == 1  # ours, from step 400 on


def test_the_curve_to_choose_is_the_one_that_comes():
    guess = question("spiral-plateau")
    values = guess.curves[guess.answer].values
    losses = run().columns["loss"]
    places = np.linspace(0, STEPS, len(values)).astype(int)
    means = [losses[max(0, place - 20) : place + 21].mean() for place in places[1:]]
    assert values[0] == pytest.approx(losses[0], abs=0.01)
    assert np.array(values[1:]) == pytest.approx(np.array(means), abs=0.05)


def test_the_plot_to_read_is_that_of_shuffled_labels():
    train, test = (line.values for line in question("labels-out-of-step").plot.curves)
    done = run(labels="shuffled")
    assert train == pytest.approx(tuple(done.columns["loss"][::20]), abs=0.02)
    assert test == pytest.approx(tuple(done.columns["test_loss"][::2]), abs=0.02)


def test_the_second_step_by_hand_gains_less():
    net, loss = network(FIRST, Tanh(), SECOND), BCEWithLogits()
    x, t, losses = f32([1, 2]), f32([0]), []
    for _ in range(3):
        losses.append(loss(net.forward(x), t))
        net.backward(loss.grad)
        SGD(net).step(lr=0.5)
    assert losses == pytest.approx([0.974, 0.300, 0.165], abs=5e-4)
    assert np.diff(losses) == pytest.approx([-0.67, -0.13], abs=5e-3)


def test_spirals_without_a_hidden_layer_come_to_a_third():
    assert run(hidden="none").end("loss", 100) == pytest.approx(0.33, abs=0.03)


def test_a_layer_learns_as_many_numbers_as_the_answer_says():
    assert question("mlp-shapes").answer == sum(math.prod(shape) for shape in Dense(64, 128).shapes())


# ---------------------------------------------------------------- the lab keeps its contract


def experiments() -> list[dict[str, Any]]:
    return [widget.body for widget in lesson().widgets() if widget.kind == "lab"]


@pytest.mark.parametrize("experiment", experiments(), ids=lambda body: body["label"])
def test_every_experiment_runs_and_shows_pictures_that_exist(experiment):
    assert set(experiment["show"]) <= {panel.name for panel in lesson().pictures}
    if experiment["set"]["data"] == "fashion":
        lesson().setting(experiment["set"])
        return
    for tick in islice(ticks(**experiment["set"]), 3):
        assert math.isfinite(tick.metrics["loss"])


@pytest.mark.parametrize("data", ["spiral", "circles", "moons", "xor", "blobs", "digits"])
def test_pictures_are_those_of_the_front_matter(data):
    promised = {panel.name for panel in lesson().pictures if not panel.curves}
    for tick in islice(ticks(data=data), 2):
        pictures = tick.pictures()
        assert set(pictures) == promised
        for picture in pictures.values():
            values = picture.values if isinstance(picture, Heat | Images) else picture.counts
            assert isinstance(picture, Heat | Images | Histograms | Confusion) and np.isfinite(values).all()


def test_looking_changes_nothing():
    def metrics(look: bool) -> list[dict[str, float | None]]:
        return [(tick.pictures() if look else None, tick.metrics)[1] for tick in islice(ticks(seed=3), 25)]

    assert metrics(look=True) == metrics(look=False)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    def losses(seed: int) -> list[float]:
        return [tick.metrics["loss"] for tick in islice(ticks(seed=seed), 10)]

    assert losses(1) == losses(1) != losses(2)


def test_the_learning_rate_works_at_once():
    knobs = SimpleNamespace(**lesson().setting())
    run = module().lab(knobs, np.random.default_rng(0))
    next(run)
    knobs.lr = 0.0
    before, after = next(run), next(run)
    del before
    frozen = [value.copy() for _, value, _ in after.net.parameters()]
    still = next(run).net.parameters()
    assert all(np.array_equal(value, old) for (_, value, _), old in zip(still, frozen, strict=True))


def test_a_wrong_answer_is_captioned_with_the_truth_in_brackets():
    answers = run(data="digits", hidden="none").last.pictures()["boundary"]
    for k, caption in enumerate(answers.captions):
        assert bool(re.fullmatch(r"\d \(\d\)", caption)) == (k in answers.wrong)


def test_the_confusion_matrix_counts_every_test_digit_once():
    confusion = run(data="digits").last.pictures()["confusion"]
    assert confusion.counts.sum() == 449 and confusion.counts.trace() / 449 >= 0.95


def test_neurons_of_the_first_layer_have_a_straight_edge():
    """Along each row of a thumbnail tanh of a line is monotone: one edge, not two."""
    neurons = run().last.pictures()["neurons"]
    assert neurons.captions[:4] == ("1.1", "2.1", "1.2", "2.2")
    for caption, thumbnail in zip(neurons.captions, neurons.values, strict=True):
        rises = np.diff(thumbnail, axis=1) > 0
        assert rises.all() or not rises.any() or not caption.startswith("1.")


@pytest.mark.usefixtures("fashion")
def test_fashion_images_train_where_they_are_found():
    *_, last = islice(ticks(data="fashion"), 3)
    pictures = last.pictures()
    assert pictures["boundary"].values.shape == (32, 28, 28) == pictures["neurons"].values.shape


# ---------------------------------------------------------------- the numbers in the text are the kernels'


def network(*layers: Any) -> Sequential:
    """A network of activations, and of dense layers that are given as (w, b)."""
    numbers = [np.array(part, np.float32) for layer in layers if isinstance(layer, tuple) for part in layer]
    made = [Dense(len(layer[0]), len(layer[1])) if isinstance(layer, tuple) else layer for layer in layers]
    net = Sequential(*made, rng=np.random.default_rng(0))
    for (_, value, _), number in zip(net.parameters(), numbers, strict=True):
        value[...] = number
    return net


def f32(*rows: Any) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


FIRST = ([[0.5, -1], [0.25, 0.5]], [0, 0.5])
SECOND = ([[1], [-1]], [0.2])


def test_one_neuron():
    neuron = ([[1], [-1]], [0.5])
    assert network(neuron).forward(f32([2, 1])) == pytest.approx(1.5)
    assert network(neuron, Tanh()).forward(f32([2, 1])) == pytest.approx(0.905, abs=5e-4)


def test_xor_by_hand():
    x = f32([0, 0], [0, 1], [1, 0], [1, 1])
    hidden = ([[1, 1], [1, 1]], [0, -1])
    assert network(hidden, ReLU()).forward(x).tolist() == [[0, 0], [1, 0], [1, 0], [2, 1]]
    assert network(hidden, ReLU(), ([[1], [-2]], [0])).forward(x).ravel().tolist() == [0, 1, 1, 0]


def test_two_samples_through_a_layer():
    assert network(FIRST).forward(f32([1, 2], [0, 1])).tolist() == [[1, 0.5], [0.25, 1]]


def test_layers_without_activation_collapse():
    x = f32([1, 2], [0, 1])
    one = ([[1.5], [-0.25]], [-0.3])
    assert network(FIRST, SECOND).forward(x) == pytest.approx(network(one).forward(x))


@pytest.mark.parametrize(
    ("widths", "numbers"), [((784, 128, 128, 10), 118_282), ((64, 128, 128, 10), 26_122), ((2, 16, 16, 2), 354)]
)
def test_numbers_to_learn(widths, numbers):
    layers = [Dense(d, m) for d, m in pairwise(widths)]
    net = Sequential(*layers, rng=np.random.default_rng(0))
    assert sum(value.size for _, value, _ in net.parameters()) == numbers


def test_softmax_and_cross_entropy():
    loss = SoftmaxCrossEntropy()
    y = f32([2, 1, 0])
    assert loss(y, np.array([2], np.int32)) == pytest.approx(2.408, abs=5e-4)
    assert loss(y, np.array([0], np.int32)) == pytest.approx(0.408, abs=5e-4)
    assert loss.grad[0] == pytest.approx([-0.335, 0.245, 0.090], abs=5e-4)


def test_binary_cross_entropy_is_softmax_with_two_classes():
    y = f32([0.3, 1.1])
    softmax, binary = SoftmaxCrossEntropy(), BCEWithLogits()
    assert softmax(y, np.array([1], np.int32)) == pytest.approx(binary(y[:, 1:] - y[:, :1], f32([1])), rel=1e-5)


def test_one_pass_by_hand():
    net, loss = network(FIRST, Tanh(), SECOND), BCEWithLogits()
    x, t = f32([1, 2]), f32([0])
    assert loss(net.forward(x), t) == pytest.approx(0.974, abs=5e-4)
    net.backward(loss.grad)

    rounded = {name: np.round(array.ravel().astype(float), 3).tolist() for name, array in net.tensors()}
    assert rounded["layer 1 dense: output"] == [1, 0.5]
    assert rounded["layer 2 tanh: output"] == [0.762, 0.462]
    assert rounded["layer 3 dense: output"] == [0.499]
    assert rounded["layer 3 dense: output gradient"] == [0.622]
    assert rounded["layer 3 dense: weights gradient"] == [0.474, 0.288]
    assert rounded["layer 3 dense: bias gradient"] == [0.622]
    assert rounded["layer 2 tanh: output gradient"] == [0.622, -0.622]
    assert rounded["layer 1 dense: output gradient"] == [0.261, -0.489]
    assert rounded["layer 1 dense: bias gradient"] == [0.261, -0.489]
    assert rounded["layer 1 dense: weights gradient"] == [0.261, -0.489, 0.523, -0.979]

    SGD(net).step(lr=0.5)
    z = net.forward(x)
    assert z.item() == pytest.approx(-1.049, abs=5e-4)
    assert loss(z, t) == pytest.approx(0.300, abs=5e-4)


# ---------------------------------------------------------------- the text can be drawn


def test_every_formula_is_drawn():
    """Displayed ones fit 60 columns, those in a line fit one row; "?" stands for what cannot be drawn."""
    init_arts({"fonts": "normal"})

    def single_row(tex: str) -> str:
        rows = render_tex_rows(tex, False)
        assert len(rows) == 1 and "?" not in rows[0], tex
        return rows[0]

    for block in every_block():
        if isinstance(block, Text):
            inline_math(block.markdown, single_row)
        elif isinstance(block, Formula):
            rows = render_tex_rows(block.tex, False)
            assert max(map(len, rows)) <= 60 and not any("?" in row for row in rows), block.tex


def every_block() -> Iterator[Block]:
    """Of the lesson and its exercises, in both languages; each text of a question as a block of its own."""
    for language in ("en", "zh"):
        found = load(FOLDER, language, strict=True)
        for section in found.sections:
            for block in section.blocks:
                yield from map(Text, texts(asdict(block.body))) if is_question(block) else [block]
        for name in exercises.names(found):
            yield from exercises.load(found, name, strict=True).text


def is_question(block: Block) -> bool:
    return isinstance(block, Widget) and block.kind in ("quiz", "predict", "review")


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []
