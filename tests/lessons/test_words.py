"""What a learner reads beside the text: the words in pictures, and the names of knobs and metrics."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.cells import cell_len

from dltutor.engine.engine import load_lab
from dltutor.lesson import Lesson, load
from dltutor.pictures import reworded

LESSONS = Path(__file__).resolve().parents[2] / "lessons"
LANGUAGES = ("en", "zh")
BOTH = [(file.parent.name, language) for file in sorted(LESSONS.glob("*/lesson.md")) for language in LANGUAGES]
DATA = [(id, data) for id, language in BOTH if language == "en" for data in load(LESSONS / id).knobs["data"].choices]

SYMBOLS = re.compile(r"[a-z]\d*|y = t|log10 \|dw\|")  # x1, s5, t: the same in every language
KNOB, LABEL, METRIC = 23, 14, 14  # cells: of a knob with its value, between the marks of the cursor; of the names


def texts(id: str, data: str) -> set[str]:
    """Every text in the pictures of the first steps, with each choice of features."""
    lesson = load(LESSONS / id)
    found: set[str] = set()
    for features in lesson.knobs["features"].choices if "features" in lesson.knobs else [None]:
        chosen = {"data": data} | ({"features": features} if features else {})
        knobs = SimpleNamespace(**lesson.setting(chosen))
        for tick in islice(load_lab(lesson)(knobs, np.random.default_rng(0)), 2):
            for picture in tick.pictures().values():
                reworded(picture, lambda text: found.add(text) or text)
    return found


@pytest.mark.usefixtures("fashion")
@pytest.mark.parametrize(("id", "data"), DATA)
def test_the_pictures_of_a_chinese_lesson_speak_chinese(id: str, data: str) -> None:
    """Nothing but symbols and names like BMI and ROC is left in Latin letters."""
    lesson = load(LESSONS / id, "zh", strict=True)
    words = {text: lesson.word(text) for text in texts(id, data) if not SYMBOLS.fullmatch(text)}
    assert [text for text, word in words.items() if re.search("[a-z]{2}", word)] == []


def widest(lesson: Lesson, name: str) -> int:
    return max((cell_len(label) for label in lesson.knobs[name].choices.values()), default=0)


@pytest.mark.parametrize(("id", "language"), BOTH)
def test_a_knob_and_its_value_fit_the_table(id: str, language: str) -> None:
    lesson = load(LESSONS / id, language, strict=True)
    for name, knob in lesson.knobs.items():
        assert cell_len(knob.label) <= LABEL, knob.label
        assert cell_len(knob.label) + widest(lesson, name) <= KNOB, knob.label


@pytest.mark.parametrize(("id", "language"), BOTH)
def test_metrics_have_short_names_for_the_status_line(id: str, language: str) -> None:
    lesson = load(LESSONS / id, language, strict=True)
    assert [name for name in lesson.metrics.values() if cell_len(name) > METRIC] == []


@pytest.mark.parametrize(("id", "language"), BOTH)
def test_what_the_text_calls_a_picture_or_knob_is_what_it_is_called(id: str, language: str) -> None:
    """Names in *italics*, or in Chinese quotes, before or after the word for a picture or a knob."""
    lesson = load(LESSONS / id, language, strict=True)
    names = {panel.title for panel in lesson.pictures} | {knob.label for knob in lesson.knobs.values()}
    text = (LESSONS / id / ("lesson.md" if language == "en" else f"lesson.{language}.md")).read_text()
    named = re.findall(r"(?:[Pp]icture|[Kk]nob) \*([^*]+)\*|旋钮“([^”]+)”|“([^”]+)”(?:这幅)?图", text)
    assert {name for match in named for name in match if name} <= names
