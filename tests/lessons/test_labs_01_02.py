"""Lessons 1 and 2: every number in their text is what the lab, run here, gives."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dltutor.data import load as load_data
from dltutor.engine.engine import load_lab
from dltutor.engine.pack import pack
from dltutor.kernels import device
from dltutor.kernels.own import compile_own
from dltutor.lesson import Formula, Text, exercises, inline_math, load
from dltutor.lesson.blocks import Section
from dltutor.pictures import Confusion, Contour, Heat, Scatter

LESSONS = Path(__file__).resolve().parents[2] / "lessons"
LINE, LOGISTIC = "01-linear-regression", "02-logistic-regression"
FILES = [path for id in (LINE, LOGISTIC) for path in sorted((LESSONS / id).glob("lesson*.md"))]
EXPERIMENTS = [(id, lab) for id in (LINE, LOGISTIC) for lab in load(LESSONS / id).widgets() if lab.kind == "lab"]


class Run:
    """The metrics of ticks 0 .. steps of a lab, a list each, and the pictures of the last one."""

    def __init__(self, id: str, steps: int = 300, seed: int = 0, **knobs: Any) -> None:
        self.metrics: dict[str, list[float | None]] = {}
        for tick in ticks(id, steps, seed, **knobs):
            for name, value in tick.metrics.items():
                self.metrics.setdefault(name, []).append(value)
            self.pictures = tick.pictures

    def __getattr__(self, name: str) -> list[Any]:
        return self.metrics[name]


def ticks(id: str, steps: int, seed: int = 0, **knobs: Any) -> Iterator[Any]:
    """The ticks of a lab, up to the first bad number, where the engine would stop it."""
    lesson = load(LESSONS / id)
    running = load_lab(lesson)(SimpleNamespace(**lesson.setting(knobs)), np.random.default_rng(seed))
    for _step in range(steps + 1):
        tick = next(running)
        yield tick
        if not all(math.isfinite(value) for value in tick.metrics.values() if value is not None):
            return


def says(id: str, section: str, *numbers: str) -> None:
    """Each of these numbers stands in this section of the lesson, in every language in which there is one."""
    for path in sorted((LESSONS / id).glob("lesson*.md")):
        text = re.search(rf"^## .*{{#{section}}}$(.*?)(?=^## |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
        assert text, f"{path.name} has no section {section}"
        for number in numbers:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d|\.\d)", text[1]), f"{path.name}, {section}: {number}"


def rounded(value: float, places: int) -> str:
    return f"{value:.{places}f}"


# ---------------------------------------------------------------- the text


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_formula_can_be_drawn_in_sixty_columns(path: Path) -> None:
    """Of the lesson, its questions and its tasks; what stands in a sentence, in one row."""
    from texicode.pipeline import init_arts, render_tex_rows

    init_arts({"fonts": "normal"})
    language = path.name.split(".")[1] if path.name.count(".") == 2 else "en"
    lesson = load(path.parent, language, strict=True)
    tasks = [exercises.load(lesson, name, strict=True) for name in exercises.names(lesson)]
    inline: list[str] = []
    for block in [block for part in (*lesson.sections, *tasks) for block in blocks(part)]:
        if isinstance(block, Formula):
            rows = render_tex_rows(block.tex, False)
            assert max(map(len, rows)) <= 60, block.tex
            assert not any("?" in row for row in rows), block.tex
        else:
            for text in texts(block):
                inline_math(text, lambda tex: inline.append(tex) or "")
    for tex in inline:
        rows = render_tex_rows(tex, False)
        assert len(rows) == 1, tex
        assert "?" not in rows[0], tex


def blocks(part: Section | exercises.Exercise) -> list[Any]:
    """What a learner reads of a section or a task, hints and explanations too."""
    if isinstance(part, Section):
        return list(part.blocks)
    return [*part.text, part.hints, part.wrong, part.hunt]


def texts(value: Any) -> list[str]:
    """Every text in a question, a task's part, or a paragraph."""
    if isinstance(value, list | tuple):
        return [text for part in value for text in texts(part)]
    if isinstance(value, Text):
        return [value.markdown]
    if is_dataclass(value):
        return [text for field in fields(value) if field.name != "source" for text in texts(getattr(value, field.name))]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(("id", "lab"), EXPERIMENTS, ids=[lab.id for _id, lab in EXPERIMENTS])
def test_every_experiment_in_the_text_runs_and_draws(id: str, lab: Any) -> None:
    names = {panel.name for panel in load(LESSONS / id).pictures if not panel.curves}
    for tick in ticks(id, 12, lab.body.get("seed", 0), **lab.body.get("set", {})):
        pictures = tick.pictures()
        assert set(pictures) == names
        for picture in pictures.values():
            pack(picture)


@pytest.mark.parametrize(
    ("id", "knobs"),
    [
        (LINE, {"points": 2}),
        (LINE, {"data": "regression", "points": 2, "scale": "standard"}),
        (LINE, {"noise": 0.0, "batch": 1}),
        (LOGISTIC, {"points": 10, "threshold": 0.99}),
        (LOGISTIC, {"data": "breast_cancer", "loss": "mse", "start": -10.0, "threshold": 0.01}),
    ],
)
def test_the_ends_of_the_knobs_run_and_draw(id: str, knobs: dict[str, Any]) -> None:
    for tick in ticks(id, 3, **knobs):
        for picture in tick.pictures().values():
            pack(picture)


@pytest.mark.parametrize("id", [LINE, LOGISTIC])
def test_looking_does_not_change_a_run(id: str) -> None:
    def losses(look: bool) -> list[float]:
        return [(tick.metrics["loss"], look and tick.pictures())[0] for tick in ticks(id, 20, batch=7)]

    assert losses(look=True) == losses(look=False)


def test_live_knobs_are_read_at_every_step() -> None:
    lesson = load(LESSONS / LINE)
    knobs = SimpleNamespace(**lesson.setting())
    running = load_lab(lesson)(knobs, np.random.default_rng(0))
    before = [next(running).metrics["slope"] for _ in range(2)]
    knobs.lr = 1e-9
    after = [next(running).metrics["slope"] for _ in range(2)]
    assert before[1] != before[0]
    assert after == pytest.approx([before[1]] * 2, abs=1e-6)


# ---------------------------------------------------------------- lesson 1: by hand


def by_hand(w: float, b: float) -> tuple[float, float, float]:
    """Loss, dL/dw and dL/db for the three samples of the text."""
    x, t = np.array([0.0, 1, 2]), np.array([2.0, 5, 8])
    error = w * x + b - t
    return float(np.mean(error**2)), float(2 / 3 * error @ x), float(2 / 3 * error.sum())


def test_the_example_by_hand() -> None:
    assert by_hand(0, 0) == pytest.approx((31, -14, -10))
    assert by_hand(1.4, 1.0)[0] == pytest.approx(8.47, abs=0.005)
    says(LINE, "loss", "31")
    says(LINE, "gradient", "-14", "-10")
    says(LINE, "descent", "1.4", "1.0", "8.47")


def test_the_layers_and_the_loss_give_the_example_by_hand() -> None:
    from dltutor.layers import MSE, SGD, Dense, Sequential

    net = Sequential(Dense(1, 1, init="zeros"), rng=np.random.default_rng(0))
    mse, sgd = MSE(), SGD(net)
    x, t = np.array([[0], [1], [2]], np.float32), np.array([[2], [5], [8]], np.float32)
    assert mse(net.forward(x), t) == pytest.approx(31)
    net.backward(mse.grad)
    gradients = [float(net.host(gradient).ravel()[0]) for _name, _value, gradient in net.parameters()]
    assert gradients == pytest.approx([-14, -10])
    sgd.step(lr=0.1)
    assert mse(net.forward(x), t) == pytest.approx(25.4 / 3, rel=1e-5)


# ---------------------------------------------------------------- lesson 1: runs


def test_the_line_is_found_at_defaults() -> None:
    run = Run(LINE)
    says(LINE, "descent", rounded(run.loss[0], 1), rounded(run.loss[1], 1))
    says(LINE, "descent", rounded(run.slope[1], 2), rounded(run.intercept[1], 2))
    says(LINE, "descent", rounded(run.slope[300], 2), rounded(run.intercept[300], 2))
    says(LINE, "test", rounded(run.loss[300], 2), rounded(run.test_loss[300], 2))


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_line_is_found_within_the_noise_whatever_the_seed(seed: int) -> None:
    """Of the best line through 100 points with noise 0.5 the slope varies by 0.09, the intercept by 0.1."""
    run = Run(LINE, seed=seed)
    assert run.slope[300] == pytest.approx(3, abs=0.3)
    assert run.intercept[300] == pytest.approx(2, abs=0.3)


def test_without_noise_the_line_is_that_of_the_rule() -> None:
    run = Run(LINE, noise=0.0)
    says(LINE, "test", rounded(run.slope[300], 3), rounded(run.intercept[300], 3))


def test_the_surface_shows_where_the_run_has_been() -> None:
    run = Run(LINE)
    surface = run.pictures()["surface"]
    assert isinstance(surface, Contour)
    assert (surface.path_x[0], surface.path_y[0]) == (0, 0)
    assert (surface.path_x[-1], surface.path_y[-1]) == pytest.approx((run.slope[300], run.intercept[300]))
    assert surface.minimum == pytest.approx((run.slope[300], run.intercept[300]), abs=0.01)
    assert surface.values.min() >= run.loss[300] - 1e-3
    column = np.argmin(np.abs(np.linspace(*surface.x, surface.values.shape[1])))
    row = np.argmin(np.abs(np.linspace(*surface.y, surface.values.shape[0])[::-1]))
    assert surface.values[row, column] == pytest.approx(run.loss[0], rel=0.1)


def test_the_valley_runs_from_the_upper_left_to_the_lower_right() -> None:
    values = Run(LINE, 0).pictures()["surface"].values
    floor = values[:, 10:40].argmin(axis=0)  # the row of the lowest place in each column, counted from the top
    assert (np.diff(floor) >= 0).all()
    assert floor[-1] > floor[0]


def test_what_the_learning_rate_does() -> None:
    small, right = Run(LINE, lr=0.001), Run(LINE)
    says(LINE, "rate", rounded(small.slope[300], 2), rounded(small.loss[300], 2))
    assert small.loss[300] / right.loss[300] == pytest.approx(8, abs=0.5)
    large = Run(LINE, lr=0.4)
    assert (np.diff(np.sign(np.diff(large.slope[:20]))) != 0).all()  # to and fro
    assert large.loss[300] == pytest.approx(right.loss[300], rel=1e-3)
    says(LINE, "rate", str(first_below(0.25, right.loss)), str(first_below(0.25, large.loss)))
    assert first_below(0.25, large.loss) / first_below(0.25, right.loss) == pytest.approx(8, abs=0.2)
    assert right.loss[20] == pytest.approx(right.loss[300], rel=0.02)  # "hardly anything left to gain"
    exploding = Run(LINE, lr=1.1)
    assert len(exploding.loss) <= 40
    assert exploding.loss[10] / exploding.loss[9] == pytest.approx(18.7, abs=0.1)
    says(LINE, "rate", "40", "18.7")


def first_below(value: float, losses: list[float]) -> int:
    return next(step for step, loss in enumerate(losses) if loss < value)


def test_the_curvature_of_the_bowl() -> None:
    data = load_data("line", points=100, noise=0.5, rng=np.random.default_rng(0))
    steepest = curvatures(data.x)[-1]
    says(LINE, "rate", rounded(steepest, 2), rounded(2 / steepest, 2))
    for rate in (0.1, 0.4, 1.1):
        factor = 1 - rate * round(steepest, 2)
        says(LINE, "rate", rounded(factor, 2 if rate == 1.1 else 3).lstrip("-"))


def curvatures(x: np.ndarray) -> np.ndarray:
    """Of the loss over slope and intercept, from the flattest direction to the steepest."""
    inputs = np.column_stack([x, np.ones(len(x))]).astype(float)
    return np.linalg.eigvalsh(2 * inputs.T @ inputs / len(x))


def test_small_batches_wander() -> None:
    one, ten = Run(LINE, batch=1), Run(LINE, batch=10)
    says(LINE, "batches", rounded(min(one.slope[50:]), 1), rounded(max(one.slope[50:]), 1))
    assert np.std(ten.slope[50:]) < np.std(one.slope[50:]) / 2
    assert np.std(ten.loss[50:]) > 10 * np.std(Run(LINE).loss[50:])
    assert np.std(Run(LINE, 2000, batch=1, lr=0.01).slope[1000:]) < np.std(one.slope[50:]) / 2


def test_four_points_are_learnt_by_heart() -> None:
    run = Run(LINE, points=4)
    says(LINE, "test", rounded(run.loss[300], 3), rounded(run.test_loss[300], 2), rounded(run.slope[300], 2))
    assert run.test_loss[300] / run.loss[300] == pytest.approx(65, abs=5)
    lower = [(run := Run(LINE, seed=seed)).test_loss[300] < run.loss[300] for seed in range(6)]
    assert 0 < sum(lower) < 6  # which of the two is lower is luck


def test_ten_features_are_found() -> None:
    run = Run(LINE, data="regression", noise=0.1)
    assert run.loss[300] == pytest.approx(0.01, rel=0.2)
    scatter = run.pictures()["fit"]
    assert isinstance(scatter, Scatter)
    assert np.corrcoef(scatter.points.x, scatter.points.y)[0, 1] > 0.99


def test_a_bmi_as_measured_is_hard_to_learn_from() -> None:
    assert len(Run(LINE, data="diabetes", scale="raw", batch=400).loss) <= 11  # explodes within ten steps
    slow = Run(LINE, data="diabetes", scale="raw", lr=0.001, batch=400)
    best = Run(LINE, data="diabetes", batch=400)
    says(LINE, "scaling", rounded(slow.intercept[300], 1), rounded(best.intercept[300], 0))
    says(LINE, "scaling", rounded(best.slope[300], 1))
    assert best.slope[30] == pytest.approx(best.slope[300], rel=0.01)
    assert best.intercept[30] == pytest.approx(best.intercept[300], rel=0.01)


def test_what_the_text_says_about_the_people() -> None:
    data = load_data("diabetes", rng=np.random.default_rng(0)).only("bmi")
    says(LINE, "scaling", str(len(data) + len(data.test_x)), str(len(data.test_x)))
    says(LINE, "scaling", rounded(data.t.min(), 0), rounded(max(data.t.max(), data.test_t.max()), 0))
    mean, std = float(data.x.mean()), float(data.x.std())
    says(LINE, "scaling", rounded(mean, 1), rounded(std, 2))
    assert (32.1 - round(mean, 1)) / round(std, 2) == pytest.approx(1.32, abs=0.005)
    flat, steep = curvatures(data.x)
    says(LINE, "scaling", rounded(steep, 0), rounded(flat, 2))


def test_more_features_say_more() -> None:
    data = load_data("diabetes", rng=np.random.default_rng(0))
    mean = math.sqrt(np.mean((data.test_t - data.t.mean()) ** 2))
    bmi = math.sqrt(Run(LINE, data="diabetes", batch=400).test_loss[300])
    all_ten = Run(LINE, data="diabetes", features="all", batch=400).test_loss[300]
    says(LINE, "summary", rounded(mean, 0), rounded(bmi, 0), rounded(math.sqrt(all_ten), 0))
    assert all_ten == pytest.approx(2900, abs=30)


def test_the_scaled_path_is_straight() -> None:
    surface = Run(LINE, data="diabetes", batch=400).pictures()["surface"]
    along = np.stack([surface.path_x / surface.minimum[0], surface.path_y / surface.minimum[1]])
    assert np.allclose(along[0], along[1], atol=0.01)


# ---------------------------------------------------------------- lesson 1: questions and bug hunts


def question(id: str, name: str) -> Any:
    return next(widget.body for widget in load(LESSONS / id).widgets() if widget.id == name)


def with_fault(id: str, name: str, steps: int = 300, **knobs: Any) -> Run:
    """A run with the code of a bug hunt, as its file begins."""
    lesson = load(LESSONS / id)
    hunt = exercises.load(lesson, name)
    with device.replaced(compile_own(hunt.start, hunt.kernels, guarded=False)):
        return Run(id, steps, **hunt.lab.get("set", {}) | knobs)


def observed(id: str, name: str, *numbers: str) -> None:
    """Each of these numbers stands in the symptom of a bug hunt, in both languages."""
    for language in ("en", "zh"):
        hunt = exercises.load(load(LESSONS / id, language, strict=True), name, strict=True).hunt
        assert hunt
        for number in numbers:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d|\.\d)", hunt.symptom), f"{language}: {number}"


def test_the_second_step_by_hand_and_what_leads_astray() -> None:
    asked = question(LINE, "second-step")
    loss, dw, db = by_hand(1.4, 1.0)
    after = lambda w, b: by_hand(1.4 - 0.1 * w, 1.0 - 0.1 * b)[0]  # noqa: E731 - one line each reads best here
    assert asked.answer == pytest.approx(after(dw, db), abs=0.005)
    astray = [after(-14, -10), after(-dw, -db), after(dw / 2, db / 2), after(db, db), 3 * after(dw, db), loss]
    assert [trap.answer for trap in asked.traps] == pytest.approx(astray, abs=0.005)


def test_the_curve_to_choose_at_the_rate_of_0_4_is_the_one_that_comes() -> None:
    asked = question(LINE, "rate-too-large")
    body = question(LINE, asked.lab)
    losses = Run(LINE, body["steps"], **body["set"]).loss
    assert np.array(asked.curves[asked.answer].values) == pytest.approx(np.array(losses[::10]), rel=0.02)
    assert (np.diff(losses[:60]) < 0).all()  # "falls slowly and never rises"


def test_the_two_curves_to_read_are_those_of_a_run() -> None:
    train, test = (line.values for line in question(LINE, "two-curves").plot.curves)
    run = Run(LINE, seed=6, points=4)
    assert np.array(train) == pytest.approx(np.array(run.loss[::10]), rel=0.01)
    assert np.array(test) == pytest.approx(np.array(run.test_loss[::10]), rel=0.01)
    assert np.argmin(run.test_loss) == pytest.approx(15, abs=2)


def test_with_the_slopes_gradient_slope_and_intercept_are_one() -> None:
    name = "intercept-with-the-slopes-gradient"
    run = with_fault(LINE, name)
    assert run.slope == pytest.approx(run.intercept, rel=1e-5)
    observed(LINE, name, rounded(run.slope[1], 2), rounded(run.slope[300], 2), rounded(run.loss[300], 2))
    observed(LINE, name, rounded(Run(LINE).loss[300] + 1e-4, 2))


def test_broadcast_targets_lay_the_line_flat_at_their_mean() -> None:
    run = with_fault(LINE, "broadcast")
    observed(LINE, "broadcast", rounded(run.loss[0], 1), rounded(run.loss[300], 2))
    observed(LINE, "broadcast", rounded(run.slope[300], 2), rounded(run.intercept[300], 2))
    data = load_data("line", points=100, noise=0.5, rng=np.random.default_rng(0))
    assert run.intercept[300] == pytest.approx(data.t.mean(), abs=0.001)


# ---------------------------------------------------------------- lesson 2: by hand


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_the_two_dots_by_hand() -> None:
    scores = [0.9 * 4 + 0.8 * 4 - 6, 0.2 * 4 + 0.4 * 4 - 6]
    says(LOGISTIC, "score", *(rounded(z, 1) for z in scores))
    first, second = (sigmoid(z) for z in scores)
    says(LOGISTIC, "sigmoid", rounded(first, 3), rounded(second, 3), rounded(math.exp(-0.8), 3))
    says(LOGISTIC, "sigmoid", *(rounded(sigmoid(z), 3) for z in (-4, -2, 2, 4)), rounded(math.exp(3.6), 1))
    says(LOGISTIC, "odds", rounded(first / (1 - first), 2), rounded(math.exp(4), 1))
    costs = -math.log(first), -math.log(1 - second)
    says(LOGISTIC, "loss", *(rounded(cost, 3) for cost in costs), rounded(sum(costs) / 2, 3), rounded(math.log(2), 3))
    says(LOGISTIC, "loss", *(rounded(-math.log(p), 2) for p in (0.99, 0.9, 0.5, 0.1, 0.01)))
    says(LOGISTIC, "gradient", rounded(first - 1, 3), rounded(second, 3))


def test_the_loss_and_its_gradient_are_those_of_the_two_dots() -> None:
    from dltutor.layers import BCEWithLogits

    loss = BCEWithLogits()
    z, t = np.array([[0.8], [-3.6]], np.float32), np.array([[1], [0]], np.float32)
    assert loss(z, t) == pytest.approx(0.199, abs=0.0005)
    assert np.asarray(loss.grad).ravel() * 2 == pytest.approx([-0.310, 0.027], abs=0.0005)


def test_how_much_less_the_squared_error_learns() -> None:
    p = sigmoid(8)
    says(LOGISTIC, "squared-error", rounded(p, 5), rounded(p * (1 - p), 5), rounded(2 * p * p * (1 - p), 5))
    assert p / (2 * p * p * (1 - p)) == pytest.approx(1500, rel=0.01)


# ---------------------------------------------------------------- lesson 2: runs


def test_an_undecided_model_has_a_loss_of_ln_2_and_says_yes_to_all() -> None:
    for data in ("corner", "breast_cancer"):
        run = Run(LOGISTIC, 0, data=data)
        assert (run.loss[0], run.test_loss[0]) == pytest.approx((math.log(2),) * 2, rel=1e-5)
        assert run.recall[0] == 1
    run = Run(LOGISTIC, 0)
    assert (run.precision[0], run.test_accuracy[0]) == (0.25, 0.25)
    says(LOGISTIC, "counting", "150", "200", "75", "25", "100")


def test_a_line_cuts_off_most_of_the_corner() -> None:
    run = Run(LOGISTIC)
    assert run.test_accuracy[300] == pytest.approx(0.94, abs=0.005)
    assert Run(LOGISTIC, 2000).test_accuracy[2000] < 0.96
    says(LOGISTIC, "boundary", "94")


def test_a_wrong_start_stalls_the_squared_error_alone() -> None:
    entropy, squared = (Run(LOGISTIC, start=8.0, loss=loss) for loss in ("bce", "mse"))
    says(LOGISTIC, "squared-error", rounded(entropy.test_loss[0], 1), rounded(squared.test_loss[0], 4))
    assert entropy.test_loss[9] > 3 > entropy.test_loss[10]
    assert entropy.test_loss[300] < 0.2
    says(LOGISTIC, "squared-error", "10", rounded(squared.test_loss[300], 3))


def test_the_tumours_at_defaults() -> None:
    run = Run(LOGISTIC, data="breast_cancer")
    assert run.test_accuracy[300] >= 0.95
    pictures = run.pictures()
    counts = pictures["confusion"].counts
    assert counts.tolist() == [[91, 1], [2, 48]]
    assert run.test_accuracy[300] == pytest.approx(139 / 142)
    assert (run.precision[300], run.recall[300]) == pytest.approx((48 / 49, 48 / 50))
    says(LOGISTIC, "cancer", "139", "142", "97.9", "48", "49", "50", "96")
    says(LOGISTIC, "cancer", "569", "30", "212")


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_tumours_with_other_splits(seed: int) -> None:
    assert Run(LOGISTIC, seed=seed, data="breast_cancer").test_accuracy[300] >= 0.95


def test_two_measurements_are_not_enough() -> None:
    run = Run(LOGISTIC, data="breast_cancer", features="two")
    assert run.test_accuracy[300] == pytest.approx(0.93, abs=0.005)
    says(LOGISTIC, "cancer", "93")


def test_the_threshold_trades_precision_for_recall() -> None:
    low, middle, high = (Run(LOGISTIC, data="breast_cancer", threshold=at) for at in (0.1, 0.5, 0.9))
    assert low.recall[300] == 1
    assert low.pictures()["confusion"].counts[0, 1] == 9
    assert low.recall[300] > middle.recall[300] > high.recall[300]
    assert low.precision[300] < middle.precision[300] < high.precision[300]
    assert low.loss == middle.loss == high.loss


# ---------------------------------------------------------------- lesson 2: questions and bug hunts


def test_the_numbers_asked_for() -> None:
    assert question(LOGISTIC, "odds").answer == pytest.approx(math.exp(2), abs=0.005)
    assert question(LOGISTIC, "one-cost").answer == pytest.approx(-math.log(0.25), abs=0.005)
    assert question(LOGISTIC, "gradient-at-the-score").answer == pytest.approx(sigmoid(-2) - 1, abs=0.0005)
    assert question(LOGISTIC, "recall").answer == 30 / (30 + 20)


def test_the_two_models_that_start_certain_and_wrong() -> None:
    """The outcome that is right says "about 10" and "more than 300"; the explanation says "about 3000"."""
    entropy, squared = (Run(LOGISTIC, 3200, start=8.0, loss=loss).test_loss for loss in ("bce", "mse"))
    assert first_below(entropy[0] / 2, entropy) == 10
    assert first_below(squared[0] / 2, squared) == pytest.approx(3000, rel=0.05)


def test_the_plateau_to_read_is_that_of_a_run() -> None:
    run = Run(LOGISTIC, start=4.0, loss="mse")
    (line,) = question(LOGISTIC, "plateau").plot.curves
    assert np.array(line.values) == pytest.approx(np.array(run.test_loss[::10]), rel=0.01)
    assert run.test_accuracy[300] == 0.935
    entropy = Run(LOGISTIC, 10, start=4.0)
    assert (entropy.test_loss[0], entropy.test_loss[10]) == pytest.approx((3.0, 0.75), abs=0.02)


def test_one_product_for_a_dot_product_learns_half() -> None:
    run = with_fault(LOGISTIC, "elementwise")
    observed(LOGISTIC, "elementwise", rounded(run.test_loss[300], 2), rounded(Run(LOGISTIC).test_loss[300], 2))


def test_a_factor_too_many_stalls_where_the_model_is_certain_and_wrong() -> None:
    name = "extra-sigmoid-derivative"
    stalled, ours = with_fault(LOGISTIC, name), Run(LOGISTIC, start=8.0)
    observed(LOGISTIC, name, rounded(stalled.test_loss[0], 2), rounded(stalled.test_loss[300], 2))
    assert ours.test_loss[10] < 3
    trains = with_fault(LOGISTIC, name, start=0.0).test_loss[300]
    observed(LOGISTIC, name, rounded(trains, 2), rounded(Run(LOGISTIC).test_loss[300], 2))


# ---------------------------------------------------------------- lesson 2: pictures


@pytest.mark.parametrize("knobs", [{}, {"data": "breast_cancer"}, {"data": "breast_cancer", "features": "two"}])
def test_the_dots_on_the_wrong_side_are_the_mistakes_that_are_counted(knobs: dict[str, Any]) -> None:
    """The colour under a dot is its probability (as finely as the grid goes), so dots far from the line tell."""
    pictures = Run(LOGISTIC, **knobs).pictures()
    heat, confusion = pictures["boundary"], pictures["confusion"]
    assert isinstance(heat, Heat)
    assert isinstance(confusion, Confusion)
    p = probability_under(heat)
    said, certain = p >= 0.5, np.abs(p - 0.5) > 0.15
    for true in (0, 1):
        for answer in (0, 1):
            found = np.sum(certain & (heat.points.label == true) & (said == answer))
            unsure = np.sum(~certain & (heat.points.label == true))
            assert found <= confusion.counts[true, answer] <= found + unsure


def probability_under(heat: Heat) -> np.ndarray:
    rows, columns = heat.values.shape
    column = np.rint((heat.points.x - heat.x[0]) / (heat.x[1] - heat.x[0]) * (columns - 1)).astype(int)
    row = np.rint((heat.y[1] - heat.points.y) / (heat.y[1] - heat.y[0]) * (rows - 1)).astype(int)
    return heat.values[row, column]


def test_the_roc_curve_is_that_of_scikit_learn_and_passes_through_the_threshold() -> None:
    from sklearn.metrics import roc_curve

    heat = (pictures := Run(LOGISTIC, data="breast_cancer").pictures())["boundary"]
    roc, coin, here = pictures["roc"].lines
    alarms, hits, _thresholds = roc_curve(heat.points.label, heat.points.x, drop_intermediate=False)
    assert np.allclose(roc.x, alarms)
    assert np.allclose(roc.y, hits)
    assert np.array_equal(coin.x, coin.y)
    (benign, malignant) = pictures["confusion"].counts
    assert (here.x[1], here.y[1]) == pytest.approx((benign[1] / benign.sum(), malignant[1] / malignant.sum()))
