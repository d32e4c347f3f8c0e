"""Questions read as their author meant them; faults are named; answers and guesses are judged fairly, with reasons."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest

from dltutor import lesson
from dltutor.errors import DltutorError, UsageError
from dltutor.lesson import blocks, fences, questions
from dltutor.lesson.questions import Deck, Level, Number, Order, Outcome, Pick, Shape

FILE = Path("lesson.md")
PICK = """
    id: sign
    title: A sign
    question: Where does $w$ go?
    choices:
      - {text: up, why: That climbs.}
      - {text: down, right: true, why: Against the gradient.}
      - {text: nowhere, why: The gradient is not zero.}
"""
SEVERAL = """
    id: parts
    title: Parts
    question: Which are learnt?
    several: true
    choices:
      - {text: slope, right: true, why: It is a parameter.}
      - {text: rate, why: You set it.}
      - {text: intercept, right: true}
"""
NUMBER = """
    id: loss
    title: The loss
    question: What is it?
    answer: 8.47
    tolerance: 0.01
    why: Square and average.
    traps:
      - {answer: 16.94, why: You forgot to halve.}
"""
ORDER = """
    id: steps
    title: A step
    question: In which order?
    order: [forward, loss, backward, update]
    why: Each needs the one before.
"""
OUTCOME = """
    id: rate
    title: A rate
    question: What will happen?
    choices: [it crawls, it explodes, it arrives]
    answer: 2
    why: The step is too long.
    lab: fast
"""
SHAPE = """
    id: curve
    title: A curve
    question: Which one?
    curves:
      - {label: falls, values: [4, 2, 1]}
      - {label: rises, values: [1, 2]}
    answer: 1
    metric: loss
    lab: fast
    why: It learns.
"""
LEVEL = """
    id: accuracy
    title: How many
    question: How many will be right?
    number: {low: 0, high: 100, unit: "%"}
    metric: test_accuracy
    scale: 100
    lab: corner
    why: A line cuts the corner off.
"""
DECK = """
    id: cards
    cards:
      - {id: one, front: What is $w$?, back: The slope.}
      - {id: two, front: And $b$?, back: The intercept.}
"""
KIND = {OUTCOME: "predict", SHAPE: "predict", LEVEL: "predict", DECK: "review"}


def widget(text: str, kind: str = "") -> blocks.Widget:
    lines = [f"```{kind or KIND.get(text, 'quiz')}", *textwrap.dedent(text).strip().splitlines(), "```"]
    (found,) = blocks.read_blocks(lines, FILE, 1)
    return found


def read(text: str, old: str = "", new: str = ""):
    assert old in text
    return fences.parse(widget(text.replace(old, new, 1) if old else text, KIND.get(text, "quiz")), FILE)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (PICK, Pick), (SEVERAL, Pick), (NUMBER, Number), (ORDER, Order),
        (OUTCOME, Outcome), (SHAPE, Shape), (LEVEL, Level), (DECK, Deck),
    ],
)  # fmt: skip
def test_every_kind_is_read(text, kind):
    content = read(text)
    assert type(content) is kind and content.id


def test_a_question_may_come_with_a_plot():
    plot = "plot: {x: steps, until: 300, log: true, curves: {train loss: [3, 2, 1], test loss: [3, 2.5]}}"
    found = read(PICK, "title: A sign", f"title: A sign\n    {plot}").plot.picture()
    assert [series.name for series in found.series] == ["train loss", "test loss"] and found.log
    assert found.series[0].x == [0, 150, 300] and found.series[1].x == [0, 300]


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "words"),
    [
        (PICK, "right: true, ", "", "choices:", "0 of the choices are right"),
        (PICK, "up, why: That climbs.", "up, right: true", "choices:", "one right choice"),
        (PICK, ", why: That climbs.", "", "up", "why is missing"),
        (PICK, "text: up", "text: down", "choices:", "different texts"),
        (PICK, "title: A sign", "titel: A sign", "id:", "title is missing"),
        (PICK, "    question:", "    questoin: x\n    question:", "questoin", "unknown key questoin"),
        (PICK, "text: nowhere,", "text: nowhere, rihgt: true,", "rihgt", "unknown key rihgt"),
        (SEVERAL, "several: true", "several: maybe", "several", "true or false"),
        (NUMBER, "    tolerance: 0.01\n", "", "id:", "tolerance is missing"),
        (NUMBER, "tolerance: 0.01", "tolerance: -1", "tolerance", "at least 0"),
        (NUMBER, "answer: 8.47", "answer: much", "answer: much", "a number"),
        (NUMBER, "answer: 16.94", "answer: 8.471", "8.471", "a wrong answer"),
        (NUMBER, "    answer: 8.47\n", "", "id:", "choices, answer, order"),
        (NUMBER, "    why: Square and average.\n", "", "id:", "why is missing"),
        (ORDER, "forward, loss, backward, update", "forward, backward", "order:", "3 to 9"),
        (ORDER, "loss", "forward", "order:", "different texts"),
        (OUTCOME, "answer: 2", "answer: 4", "answer", "from 1 to 3"),
        (OUTCOME, "    answer: 2\n", "", "id:", "answer is missing"),
        (SHAPE, "[4, 2, 1]", "[4, two, 1]", "falls", "numbers"),
        (SHAPE, "    metric: loss\n", "", "id:", "metric is missing"),
        (LEVEL, "high: 100", "high: 0", "number", "above 0"),
        (LEVEL, "lab: corner", "answer: 200", "answer", "from 0 to 100"),
        (LEVEL, "    lab: corner\n", "", "id:", "answer is missing"),
        (DECK, "id: two", "id: one", "And", "taken by line 4"),
        (DECK, "back: The slope.", "bak: The slope.", "bak", "back is missing"),
        (DECK, "id: one", "id: One!", "One!", "a-z"),
    ],
)
def test_a_fault_is_named_with_its_line_and_what_was_expected(text, old, new, line, words):
    with pytest.raises(DltutorError, match=words) as caught:
        read(text, old, new)
    lines = text.replace(old, new, 1).splitlines()  # the first is empty, as the fence's is
    number = next(n for n, written in enumerate(lines, 1) if line in written)
    assert str(caught.value).startswith(f"lesson.md:{number}: ")


def test_a_misspelt_key_is_met_with_the_right_one():
    with pytest.raises(DltutorError) as caught:
        read(PICK, "title: A sign", "title: A sign\n    severel: true")
    assert "several" in caught.value.hint


ASKING = Path(__file__).parents[1] / "fixtures" / "asking"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lab: fast", "lab: fats", "no experiment fats"),
        ("metric: accuracy", "metric: acuracy", "no metric acuracy"),
        ("answer: 7", "answer: seven", "a number"),
        ("id: slope, front", "id: intercept, front", "taken by line"),
    ],
)
def test_a_lesson_with_a_faulty_question_is_refused(tmp_path, old, new, words):
    folder = Path(shutil.copytree(ASKING, tmp_path / "asking"))
    source = (folder / "lesson.md").read_text(encoding="utf-8")
    (folder / "lesson.md").write_text(source.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DltutorError, match=words) as caught:
        lesson.load(folder)
    assert f"{folder / 'lesson.md'}:" in str(caught.value)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_lesson_holds_its_questions_in_its_language(language):
    found = lesson.load(ASKING, language, strict=True)
    kinds = [type(widget.body) for widget in found.widgets() if widget.kind in ("quiz", "predict", "review")]
    assert kinds == [Pick, Pick, Number, Order, Pick, Outcome, Shape, Level, Deck]


# ---------------------------------------------------------------- translations

CHINESE = {
    PICK: """
        id: sign
        title: 符号
        question: $w$ 往哪走？
        choices: [{text: 上, why: 那是爬坡。}, {text: 下, why: 逆着梯度。}, {text: 不动, why: 梯度不为零。}]
    """,
    SEVERAL: """
        id: parts
        title: 部分
        question: 哪些是学出来的？
        choices: [{text: 斜率, why: 它是参数。}, {text: 学习率, why: 由你设定。}, 截距]
    """,
    NUMBER: """
        id: loss
        title: 损失
        question: 是多少？
        why: 平方再平均。
        traps: [忘了减半。]
    """,
    ORDER: """
        id: steps
        title: 一步
        question: 顺序是什么？
        order: [前向, 损失, 反向, 更新]
        why: 每一步都要用上一步。
    """,
    OUTCOME: """
        id: rate
        title: 学习率
        question: 会怎样？
        choices: [很慢, 爆炸, 到达]
        why: 步子太大。
    """,
    SHAPE: """
        id: curve
        title: 曲线
        question: 哪一条？
        curves: [下降, 上升]
        why: 它在学。
    """,
    LEVEL: """
        id: accuracy
        title: 多少
        question: 多少是对的？
        why: 直线切掉一角。
    """,
    DECK: """
        id: cards
        cards: [{id: one, front: $w$ 是什么？, back: 斜率。}, {id: two, front: $b$ 呢？, back: 截距。}]
    """,
}


def translate(text: str, old: str = "", new: str = ""):
    assert old in CHINESE[text]
    fence = widget(CHINESE[text].replace(old, new, 1) if old else CHINESE[text], KIND.get(text, "quiz"))
    return fences.translated(read(text), fence, Path("lesson.zh.md"))


@pytest.mark.parametrize("text", CHINESE)
def test_a_translation_replaces_the_texts_and_inherits_the_rest(text):
    english, chinese = read(text), translate(text)
    assert type(chinese) is type(english) and chinese.id == english.id and chinese != english
    if text is not DECK:
        assert chinese.question != english.question
        assert questions.arrangement(chinese) == questions.arrangement(english)


def test_what_is_right_is_right_in_both_languages():
    assert [choice.right for choice in translate(PICK).choices] == [False, True, False]
    assert translate(NUMBER).answer == 8.47 and translate(NUMBER).traps[0].answer == 16.94
    assert translate(SHAPE).curves[0].values == (4, 2, 1)


@pytest.mark.parametrize(
    ("text", "old", "new", "words"),
    [
        (PICK, ", {text: 不动, why: 梯度不为零。}", "", "list of 3 items"),
        (PICK, ", why: 那是爬坡。", "", "why is missing"),
        (PICK, "title: 符号", "answer: 3", "title is missing"),
        (NUMBER, "title: 损失", "title: 损失\n        answer: 3", "unknown key answer"),
        (ORDER, "前向, ", "", "list of 4 items"),
        (OUTCOME, ", 到达", "", "list of 3 items"),
        (SHAPE, "[下降, 上升]", "[下降]", "list of 2 items"),
        (DECK, "id: two", "id: three", "expected two"),
    ],
)
def test_a_translation_that_departs_is_refused(text, old, new, words):
    with pytest.raises(DltutorError, match=words) as caught:
        translate(text, old, new)
    assert str(caught.value).startswith("lesson.zh.md:")


# ---------------------------------------------------------------- the order on the screen


def test_choices_are_shuffled_by_the_id_and_always_the_same():
    shown = {questions.arrangement(read(PICK, "id: sign", f"id: sign-{n}"))[0] for n in range(30)}
    assert shown == {0, 1, 2}
    assert questions.arrangement(read(PICK)) == questions.arrangement(read(PICK))


def test_steps_never_stand_in_the_right_order_at_first():
    for n in range(60):
        assert questions.arrangement(read(ORDER, "id: steps", f"id: steps-{n}")) != [0, 1, 2, 3]


def test_numbers_to_choose_from_stay_in_their_order():
    choices = read(OUTCOME, "it crawls, it explodes, it arrives", "1, 2, 3")
    assert questions.arrangement(choices) == [0, 1, 2]


# ---------------------------------------------------------------- marking


def test_every_choice_has_its_reason():
    assert questions.marked(read(PICK), 1) == questions.Marked(True, "Against the gradient.")
    assert questions.marked(read(PICK), 2) == questions.Marked(False, "The gradient is not zero.")


def test_several_need_all_and_only_the_right_ones():
    quiz = read(SEVERAL)
    assert questions.marked(quiz, [0, 2]).right
    assert questions.marked(quiz, [0]) == questions.Marked(False, "1 right one is missing.")
    both = questions.marked(quiz, [0, 1])
    assert not both.right and "You set it." in both.why and "missing" in both.why


@pytest.mark.parametrize("text", ["8.47", "8,47", " 8.48 ", "8.46", "+8.47", "847e-2", "847%", "８．４７", "8.470"])
def test_a_number_may_be_written_as_people_write_it(text):
    assert questions.marked(read(NUMBER), text).right


@pytest.mark.parametrize("text", ["8.49", "8", "-8.47", "0"])
def test_a_number_outside_the_tolerance_is_wrong(text):
    assert not questions.marked(read(NUMBER), text).right


@pytest.mark.parametrize("text", ["", "eight", "8.4.7", "nan", "inf", "1/0", "--8", "__import__('os')", "1e999"])
def test_what_is_no_number_is_asked_for_again(text):
    with pytest.raises(UsageError):
        questions.marked(read(NUMBER), text)


def test_numbers_with_units_thousands_and_fractions():
    assert questions.numbers("94 %", "%") == questions.numbers("94", "%") == (94,)
    assert questions.numbers("94%") == (0.94,)
    assert questions.numbers("12,345") == (12.345, 12345)
    assert questions.numbers("1,234,567") == (1234567,)
    assert questions.numbers("1/4") == (0.25,)
    assert questions.numbers("\N{MINUS SIGN}3 kg", "kg") == (-3,)


def test_a_whole_number_can_be_asked_for_exactly():
    quiz = read(NUMBER, "answer: 8.47\n    tolerance: 0.01", "answer: 8320\n    tolerance: 0")
    assert questions.marked(quiz, "8,320").right and not questions.marked(quiz, "8321").right


def test_a_common_mistake_is_named():
    assert questions.marked(read(NUMBER), "16.94").why == "You forgot to halve."
    assert "less" in questions.marked(read(NUMBER), "100").why


def test_the_first_step_out_of_place_is_named():
    quiz = read(ORDER)
    assert questions.marked(quiz, [0, 1, 2, 3]).right
    why = questions.marked(quiz, [0, 2, 1, 3]).why
    assert "first is in its place" in why and "“backward” comes later" in why


@pytest.mark.parametrize("text", [PICK, SEVERAL, NUMBER, ORDER])
def test_the_right_answer_is_right(text):
    quiz = read(text)
    assert questions.marked(quiz, questions.right_answer(quiz)).right
    assert questions.fits(quiz, questions.right_answer(quiz))


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (PICK, 3), (PICK, "down"), (PICK, None), (SEVERAL, [2, 0]), (SEVERAL, [9]), (ORDER, [0, 1]), (NUMBER, 8),
        (LEVEL, [1]), (LEVEL, [1, float("nan")]), (LEVEL, "12"),
    ],
)  # fmt: skip
def test_an_answer_kept_for_another_version_of_the_question_does_not_fit(text, given):
    assert not questions.fits(read(text), given)


# ---------------------------------------------------------------- predictions


def test_an_outcome_is_compared_in_words():
    wrong, right = (questions.compare(read(OUTCOME), given) for given in (2, 1))
    assert (wrong.right, wrong.outcome) == (False, 1)
    assert "it arrives" in wrong.sentence and "it explodes" in wrong.sentence
    assert right.right and "As you expected" in right.sentence


@pytest.mark.parametrize(
    ("given", "right", "words"),
    [
        ([90, 95], True, "you had it"), ([60, 80], False, "more than"), ([95, 99], False, "less than"),
        ([94, 94], True, "94%"), ([0, 100], True, "hard to miss"),
    ],
)  # fmt: skip
def test_a_range_is_compared_with_where_the_run_ended(given, right, words):
    found = questions.compare(read(LEVEL), given, {"test_accuracy": 0.94})
    assert (found.right, found.outcome) == (right, pytest.approx(94))
    assert words in found.sentence and "94%" in found.sentence


def test_a_run_without_a_number_is_no_hit():
    for metrics in ({}, {"test_accuracy": float("nan")}):
        found = questions.compare(read(LEVEL), [0, 100], metrics)
        assert not found.right and found.outcome is None and found.sentence


def test_a_guess_is_drawn_over_the_whole_run_in_the_units_of_its_metric():
    (curve,) = questions.behind(read(SHAPE), 0, 300)
    assert (curve.x, curve.y) == ([0, 150, 300], [4, 2, 1])
    low, high = questions.behind(read(LEVEL), [60, 80], 300)
    assert (low.x, low.y, high.y) == ([0, 300], [0.6, 0.6], [0.8, 0.8])
    assert len(questions.behind(read(LEVEL), [60, 60], 300)) == 1
    assert questions.behind(read(OUTCOME), 0, 300) == []


def test_a_range_as_typed():
    assert questions.read_range(read(LEVEL), "80 %", "60") == [60, 80]
    for low, high in (("", "60"), ("x", "60"), ("-1", "60"), ("60", "101")):
        with pytest.raises(UsageError):
            questions.read_range(read(LEVEL), low, high)


def test_calibration_is_told_for_each_degree_of_certainty():
    assert questions.calibration({2: (5, 7), 3: (0, 0)}) == "fairly sure: right in 5 of 7"
    assert questions.calibration({}) == ""
