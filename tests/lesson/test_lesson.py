"""A lesson reads as its author meant it, and anything malformed is named with file, line and what was expected."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spoiling import edit

from dltutor import lesson as lessons
from dltutor.errors import DltutorError, UsageError
from dltutor.lesson import Code, Formula, Knob, Text, compare, inline_math, quote
from dltutor.lesson.course import built_in

FIXTURE = Path(__file__).parents[1] / "fixtures" / "01-line"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example lesson, to spoil."""
    return Path(shutil.copytree(FIXTURE, tmp_path / FIXTURE.name))


def line_of(file: Path, words: str) -> int:
    return next(n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if words in line)


# ---------------------------------------------------------------- a sound lesson


def test_front_matter_is_read() -> None:
    lesson = lessons.load(FIXTURE)
    assert (lesson.id, lesson.title, lesson.part, lesson.minutes) == ("01-line", "A line", 1, 5)
    assert (lesson.steps, lesson.pace, lesson.requires) == (200, 30, [])
    assert lesson.has_lab and lesson.language == "en" and not lesson.notice
    assert [(panel.name, panel.curves, panel.log) for panel in lesson.pictures] == [
        ("fit", (), False),
        ("loss", ("loss", "test_loss"), True),
    ]
    assert lesson.metric("loss") == "training loss"
    assert lesson.metric("grad_norm") == "grad norm"


def test_knobs_have_the_kind_their_default_has() -> None:
    knobs = lessons.load(FIXTURE).knobs
    assert {name: knob.kind for name, knob in knobs.items()} == {
        "data": "choice",
        "lr": "float",
        "batch": "int",
        "noise": "float",
        "shuffle": "bool",
    }
    assert knobs["lr"].live and knobs["lr"].default == 0.1 and knobs["lr"].scale == "log"
    assert not knobs["batch"].live
    assert knobs["data"].choices == {"line": "y = 3x + 2", "parabola": "y = x²"}


def test_the_text_becomes_sections_of_blocks() -> None:
    idea, trial = lessons.load(FIXTURE).sections
    assert (idea.id, idea.title, trial.id) == ("idea", "The idea", "try")
    assert [type(block) for block in idea.blocks] == [Text, Formula, Text, Formula, Code]
    assert idea.blocks[1] == Formula(r"\hat y = w x + b")
    assert idea.blocks[3].tex.startswith(r"L = \frac{1}{N}")
    assert idea.blocks[4] == Code("python", "# not a title\ny = w * x + b")
    assert [widget.kind for widget in trial.widgets()] == ["lab", "kernel", "predict", "lab"]


def test_headings_inside_code_are_code() -> None:
    listed = lessons.load(FIXTURE).sections[0].blocks[2]
    assert "## no heading {#no}" in listed.markdown


def test_an_experiment_has_checked_values_and_only_what_was_written() -> None:
    first, *_others, last = lessons.load(FIXTURE).sections[1].widgets()
    assert first.body == {
        "label": "A rate of 1.1",
        "set": {"lr": 1.1, "data": "parabola"},
        "seed": 3,
        "show": ["fit"],
    }
    assert last.body == {"label": "The defaults"}


def test_widgets_have_ids_of_their_own_or_numbers() -> None:
    assert [widget.id for widget in lessons.load(FIXTURE).widgets()] == ["lab-1", "kernel-1", "which", "lab-2"]


def test_the_heading_is_the_lessons_own() -> None:
    heading, lesson = lessons.load_front_matter(FIXTURE), lessons.load(FIXTURE)
    assert heading.section_ids == tuple(section.id for section in lesson.sections)
    assert heading.outline == {"idea": "The idea", "try": "Try it"}
    assert heading.setting() == lesson.setting()


def test_windows_line_ends_are_fine(folder: Path) -> None:
    file = folder / "lesson.md"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert lessons.load(folder).sections == lessons.load(FIXTURE).sections


def test_a_lesson_without_a_lab_can_be_read(folder: Path) -> None:
    (folder / "lab.py").unlink()
    file = folder / "lesson.md"
    file.write_text(file.read_text().replace("```lab", "```yaml"))
    assert not lessons.load(folder).has_lab


def test_words_that_other_yaml_takes_for_something_else_stay_words(folder: Path) -> None:
    edit(
        folder / "lesson.md",
        "default: line, choices: {line:",
        "default: no, choices: {no: No, on: On, 1e3: Many, line:",
    )
    knob = lessons.load_front_matter(folder).knobs["data"]
    assert list(knob.choices) == ["no", "on", 1000.0, "line", "parabola"]


def test_reading_lessons_needs_nothing_big() -> None:
    code = (
        "import sys; from pathlib import Path; from dltutor import lesson; "
        f"lesson.load(Path({str(FIXTURE)!r}), 'zh'); "
        "print(sorted({'numpy', 'numba', 'textual', 'rich', 'sqlite3', 'platformdirs'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# ---------------------------------------------------------------- a malformed one

SPOILED = {
    "unknown key": ("minutes: 5", "minuts: 5\nminutes: 5", "minuts", "unknown key minuts"),
    "missing key": ("minutes: 5\n", "", "---", "the key minutes is missing"),
    "wrong type": ("part: 1", "part: one", "part: one", "part is 'one': expected a whole number from 1 to 6"),
    "out of range": ("part: 1", "part: 7", "part: 7", "part is 7"),
    "key twice": ("part: 1", "part: 1\npart: 2", "part: 2", "the key part is there twice"),
    "other folder": ("id: 01-line", "id: 02-line", "id: 02-line", "expected the folder's name, 01-line"),
    "not YAML": ("title: A line", "title: A line: twice", "title: A line", "this is not YAML"),
    "alias": ("title: A line", "title: &a A line\nquestion: *a", "title:", "aliases"),
    "no default": ("default: 100, ", "", "batch:", "the key default is missing"),
    "default outside": (
        "default: 100",
        "default: 500",
        "batch:",
        "default is 500: expected a whole number from 1 to 400",
    ),
    "default no choice": ("default: line", "default: lin", "data:", "expected one of line, parabola"),
    "log from zero": ("[0.0001, 2.0]", "[0, 2.0]", "lr:", "above 0"),
    "range backwards": ("[1, 400]", "[400, 1]", "batch:", "the lower end first"),
    "fraction in range": ("[1, 400]", "[0.5, 400]", "batch:", "whole numbers"),
    "infinite": ("default: 0.5", "default: 1e999", "noise:", "a finite number"),
    "unknown knob key": ("live: true", "alive: true", "lr:", "unknown key alive"),
    "knob for Python": ("batch: {label", "lambda: {label", "lambda:", "no name for Python"),
    "unknown picture key": ("log: true", "logarithmic: true", "loss: {", "unknown key logarithmic"),
    "kernel not there": (":line_forward\n---", ":line_backward\n---", "kernels:", "line_backward is not defined there"),
    "kernel file not there": ("- kernel.py:", "- kernels.py:", "kernels:", "can't quote kernels.py:line_forward"),
    "section without id": ("## Try it {#try}", "## Try it", "## Try it", "expected a section"),
    "section id twice": ("{#try}", "{#idea}", "## Try it", "the section id idea is taken by line 24"),
    "section id odd": ("{#try}", "{#Try}", "## Try it", "'Try' is not made of"),
    "text before sections": ("## The idea", "Words.\n\n## The idea", "Words.", "expected a section"),
    "title repeated": ("A line has", "# A line\nA line has", "# A line", "found '# A line'"),
    "unclosed fence": (
        "y = w * x + b\n```",
        "y = w * x + b\n",
        "```python",
        ":41: this fence is not closed: expected ```",
    ),
    "unclosed last fence": ("label: The defaults\n```", "label: The defaults", "label: The d", "not closed"),
    "unclosed formula": (r"$$ \hat y = w x + b $$", r"$$ \hat y = w x + b", r"$$ \hat", "expected `$$`"),
    "formula in a line": ("It costs", "$$x$$ It costs", "$$x$$", "on lines of its own"),
    "broken YAML in a fence": ("seed: 3", "seed: [3", "show: [fit]", "this is not YAML"),
    "fence is a list": ("id: which\n", "- which\n", "- which", "this is not YAML"),
    "lab without label": ("label: The defaults\n", "seed: 1\n", "seed: 1", "the key label is missing"),
    "lab with unknown key": ("seed: 3", "seeds: 3", "seeds: 3", "unknown key seeds"),
    "lab with unknown knob": ("set: {lr:", "set: {rate:", "set: {rate", "there is no knob rate"),
    "lab value outside": ("set: {lr: 1.1", "set: {lr: 11", "set: {lr: 11", "lr can't be 11"),
    "lab shows no picture": ("show: [fit]", "show: [fits]", "show: [fits]", "there is no picture fits"),
    "quote not there": (
        "```kernel kernel.py:line_forward",
        "```kernel kernel.py:lin",
        "```kernel",
        "lin is not defined",
    ),
    "kernel with a body": ("```kernel kernel.py:line_forward", "```kernel", "```kernel", "expected `kernel dltutor"),
    "widget in a list": ("  ```python", "  ```lab", "  ```lab", "can't be indented"),
    "control character": ("A line has", "A\x1b[2Jline has", "line has", "control character U+001B"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_malformed_is_named_with_its_line(folder: Path, case: str) -> None:
    old, new, place, words = SPOILED[case]
    file = folder / "lesson.md"
    edit(file, old, new)
    with pytest.raises(DltutorError) as caught:
        lessons.load(folder)
    assert words in str(caught.value)
    assert caught.value.message.startswith(f"{file}:")
    if case not in ("unclosed fence", "unclosed last fence", "alias", "fence is a list"):
        assert caught.value.message.startswith(f"{file}:{line_of(file, place)}: "), caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "expected front matter"),
        (b"# Title\n", "expected front matter"),
        (b"---\nid: 01-line\n", "the front matter is not closed"),
        (b"---\n- one\n---\n", "expected `key: value` lines"),
        (b"\xef\xbb\xbf---\n", "byte-order mark"),
        ("---\nid: 01-line\n".encode("utf-16"), "byte-order mark"),
        (b"---\ntitle: caf\xe9\n---\n", ":2: this is not UTF-8"),
        (b"---\na: " + b"[" * 50000 + b"]" * 50000 + b"\n---\n", ":2: this is nested too deeply"),
    ],
)
def test_what_is_no_lesson_file_says_so(folder: Path, text: bytes, words: str) -> None:
    (folder / "lesson.md").write_bytes(text)
    with pytest.raises(DltutorError, match=r"lesson\.md:") as caught:
        lessons.load(folder)
    assert words in str(caught.value)


def test_a_missing_lesson_says_so(tmp_path: Path) -> None:
    with pytest.raises(DltutorError, match=r"there is no .*lesson\.md"):
        lessons.load(tmp_path)


def test_a_lab_fence_without_a_lab_says_so(folder: Path) -> None:
    (folder / "lab.py").unlink()
    with pytest.raises(DltutorError, match=r"nothing to run: there is no .*lab\.py"):
        lessons.load(folder)


def test_a_misspelt_key_gets_the_right_one(folder: Path) -> None:
    edit(folder / "lesson.md", "minutes: 5", "minutes: 5\nkernel: []")
    with pytest.raises(DltutorError) as caught:
        lessons.load(folder)
    assert caught.value.hint == "Did you mean kernels?"


# ---------------------------------------------------------------- knobs


def knob(**changes: object) -> Knob:
    return Knob(**({"name": "k", "label": "K", "default": 1, "kind": "int", "range": (1, 400)} | changes))  # type: ignore[arg-type]


RATE = knob(default=0.1, kind="float", range=(0.0001, 2.0), scale="log")
BATCH = knob(default=100)
DATA = knob(default="line", kind="choice", range=None, choices={"line": "a line", "moons": "two moons", 16: "16"})
SWITCH = knob(default=True, kind="bool", range=None)


@pytest.mark.parametrize(
    ("knob", "text", "value"),
    [
        (RATE, "1e-3", 0.001),
        (RATE, " 1 ", 1.0),
        (BATCH, "64", 64),
        (BATCH, "1e2", 100),
        (DATA, "moons", "moons"),
        (DATA, "Two Moons", "moons"),
        (DATA, "16", 16),
        (SWITCH, "off", False),
        (SWITCH, "True", True),
    ],
)
def test_a_typed_value_is_understood(knob: Knob, text: str, value: object) -> None:
    found = knob.parse(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("knob", "text", "allowed"),
    [
        (RATE, "3", "a number from 0.0001 to 2"),
        (RATE, "nan", "a number from 0.0001 to 2"),
        (RATE, "fast", "a number from 0.0001 to 2"),
        (BATCH, "0", "a whole number from 1 to 400"),
        (BATCH, "2.5", "a whole number from 1 to 400"),
        (BATCH, "inf", "a whole number from 1 to 400"),
        (BATCH, "9" * 40, "a whole number from 1 to 400"),
        (DATA, "spiral", "one of line, moons, 16"),
        (SWITCH, "maybe", "on or off"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can(knob: Knob, text: str, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        knob.parse(text)
    assert caught.value.message == f"k can't be {text}: it is {allowed}"
    assert caught.value.hint


def test_values_of_another_type_are_refused() -> None:
    for knob, value in ((BATCH, True), (BATCH, "64"), (SWITCH, 1), (DATA, 16.0), (DATA, []), (RATE, None)):
        with pytest.raises(UsageError):
            knob.check(value)


def walk(knob: Knob, value: object, direction: int, count: int) -> list[object]:
    values = []
    for _step in range(count):
        value = knob.nudge(value, direction)
        values.append(value)
    return values


def test_keys_climb_a_log_scale_by_1_2_5() -> None:
    assert walk(RATE, 0.1, 1, 5) == [0.2, 0.5, 1.0, 2.0, 2.0]
    assert walk(RATE, 0.03, -1, 3) == [0.02, 0.01, 0.005]
    assert walk(RATE, 0.0002, -1, 2) == [0.0001, 0.0001]


def test_keys_move_evenly_on_a_linear_scale_and_stay_inside() -> None:
    assert walk(BATCH, 100, 1, 2) == [110, 120]
    assert walk(BATCH, 12, -1, 3) == [10, 1, 1]
    assert walk(knob(range=(1, 8)), 7, 1, 2) == [8, 8]
    assert walk(knob(kind="float", range=(0.0, 2.0)), 0.1, 1, 3) == [0.2, 0.3, 0.4]
    noise = knob(kind="float", default=0.5, range=(0.0, 2.0))
    assert walk(noise, 0.5, -1, 11)[-1] == 0.0


def test_every_nudged_value_is_allowed_and_reads_back() -> None:
    knobs = (RATE, BATCH, DATA, SWITCH, knob(range=(-3, 3)), knob(kind="float", default=0.0, range=(-1.0, 0.7)))
    for each in knobs:
        for value in walk(each, each.default, 1, 30) + walk(each, each.default, -1, 60):
            assert each.check(value) == value
            assert each.parse(each.format(value)) == value


def test_keys_go_around_the_choices() -> None:
    assert walk(DATA, "line", 1, 3) == ["moons", 16, "line"]
    assert DATA.nudge("line", -1) == 16
    assert SWITCH.nudge(True, 1) is False


def test_values_are_shown_as_one_reads_them() -> None:
    assert [RATE.format(0.0001), BATCH.format(64), DATA.format("moons"), SWITCH.format(False)] == [
        "0.0001",
        "64",
        "two moons",
        "off",
    ]


def test_a_setting_has_every_knob() -> None:
    lesson = lessons.load_front_matter(FIXTURE)
    assert lesson.setting({"lr": "0.3", "batch": 10}) == {
        "data": "line",
        "lr": 0.3,
        "batch": 10,
        "noise": 0.5,
        "shuffle": True,
    }


def test_an_unknown_knob_is_named_with_the_ones_there_are() -> None:
    lesson = lessons.load_front_matter(FIXTURE)
    with pytest.raises(UsageError, match="there is no knob btach") as caught:
        lesson.setting({"btach": 10})
    assert caught.value.hint == "Did you mean batch?"
    with pytest.raises(UsageError) as caught:
        lesson.setting({"zzz": 10})
    assert caught.value.hint == "There are: data, lr, batch, noise, shuffle."


def test_a_stored_setting_survives_a_changed_lesson() -> None:
    lesson = lessons.load_front_matter(FIXTURE)
    restored = lesson.restored({"lr": 0.3, "batch": 4000, "gone": 1, "data": "parabola"})
    assert restored == lesson.setting({"lr": 0.3, "data": "parabola"})


# ---------------------------------------------------------------- quotes


def test_a_quote_is_the_source_with_decorators_and_comments() -> None:
    found = quote("kernel.py:line_forward", FIXTURE)
    assert found.source.startswith("@functools.cache\ndef line_forward(x, w, b):")
    assert found.source.endswith("# the forward line\n")
    assert found.first_line == line_of(FIXTURE / "kernel.py", "@functools.cache")
    assert "forward    y[n] = w x[n] + b" in found.module_doc


def test_a_quoted_method_loses_its_indentation() -> None:
    assert quote("kernel.py:Line.slope", FIXTURE).source == "def slope(self):\n    return 3\n"


def test_a_whole_file_can_be_quoted() -> None:
    found = quote("dltutor/errors.py")
    assert found.source == (Path(lessons.__file__).parents[1] / "errors.py").read_text()
    assert found.name == "" and found.first_line == 1


def test_definitions_under_if_and_try_and_assignments_are_found(tmp_path: Path) -> None:
    (tmp_path / "k.py").write_text("try:\n    import x\nexcept ImportError:\n    a = 1\nif True:\n    def f(): pass\n")
    assert quote("k.py:a", tmp_path).source == "a = 1\n"
    assert quote("k.py:f", tmp_path).source == "def f(): pass\n"


def test_a_quote_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "k.py"
    file.write_text("def f(): return 1\n")
    assert "return 1" in quote("k.py:f", tmp_path).source
    file.write_text("def f(): return 1234\n")
    assert "return 1234" in quote("k.py:f", tmp_path).source


@pytest.mark.parametrize("reference", ["../errors.py:x", "/etc/passwd", "dltutor/../../x.py", "", "dltutor/no.py:f"])
def test_a_quote_stays_in_its_folder(reference: str) -> None:
    with pytest.raises(DltutorError, match="can't quote"):
        quote(reference, FIXTURE)


def test_a_misspelt_quote_gets_the_right_name() -> None:
    with pytest.raises(DltutorError) as caught:
        quote("kernel.py:line_foward", FIXTURE)
    assert caught.value.hint == "Did you mean line_forward?"


def test_a_file_that_does_not_parse_says_so(tmp_path: Path) -> None:
    (tmp_path / "k.py").write_text("def f(:\n")
    with pytest.raises(DltutorError, match=r"can't quote k\.py:f"):
        quote("k.py:f", tmp_path)


# ---------------------------------------------------------------- translation


def test_a_translation_replaces_words_and_nothing_else() -> None:
    english, chinese = lessons.load(FIXTURE), lessons.load(FIXTURE, "zh", strict=True)
    assert (chinese.title, chinese.language, chinese.notice) == ("一条直线", "zh", "")
    assert chinese.knobs["data"].choices == {"line": "直线", "parabola": "抛物线"}
    assert chinese.knobs["lr"].label == "学习率" and chinese.knobs["batch"].label == "Batch size"
    assert chinese.pictures[1].title == "损失" and chinese.pictures[1].curves == ("loss", "test_loss")
    assert chinese.metric("loss") == "训练损失" and chinese.metric("test_loss") == "test loss"
    assert chinese.setting() == english.setting()
    assert compare(english, chinese) == []


def test_a_translated_experiment_runs_what_the_english_one_runs() -> None:
    first = lessons.load(FIXTURE, "zh", strict=True).widgets()[0]
    assert first.body == {"label": "学习率 1.1", "set": {"lr": 1.1, "data": "parabola"}, "seed": 3, "show": ["fit"]}


def test_without_a_translation_the_lesson_is_in_english_and_says_so(folder: Path) -> None:
    (folder / "lesson.zh.md").unlink()
    for lesson in (lessons.load(folder, "zh"), lessons.load_front_matter(folder, "zh")):
        assert (lesson.language, lesson.title) == ("en", "A line")
        assert "lesson.zh.md" in lesson.notice


TRANSLATION_SPOILED = {
    "other sections": ("{#try}", "{#tries}", "the sections are idea, tries, in English idea, try"),
    "widget left out": ("```lab\nlabel: 默认值\n```", "", "section try: the widgets are"),
    "other quote": ("kernel.py:line_forward", "kernel.py:Line", "section try: the widgets are"),
    "another run": (
        "label: 学习率 1.1",
        "label: 学习率 1.1\nset: {lr: 1.2}",
        "lab-1 does not run what it runs in English",
    ),
    "unknown knob": ("lr: {label", "rate: {label", "rate is not in the English lesson"),
    "unknown choice": ("parabola: 抛物线", "circle: 圆", "circle is not in the English lesson"),
    "unknown picture": ("fit: 数据", "fits: 数据", "fits is not in the English lesson"),
    "a key of English": ("title: 一条直线", "title: 一条直线\nsteps: 5", "unknown key steps"),
}


@pytest.mark.parametrize("case", TRANSLATION_SPOILED)
def test_an_unsound_translation_gives_way_to_english(folder: Path, case: str) -> None:
    old, new, words = TRANSLATION_SPOILED[case]
    edit(folder / "lesson.zh.md", old, new)
    lesson = lessons.load(folder, "zh")
    assert lesson.language == "en" and lesson.sections == lessons.load(FIXTURE).sections
    assert words in lesson.notice and "lesson.zh.md:" in lesson.notice
    with pytest.raises(DltutorError):
        lessons.load(folder, "zh", strict=True)


def test_what_a_lab_calls_things_reads_as_the_lesson_says(folder: Path) -> None:
    edit(folder / "lesson.md", "minutes: 5", "minutes: 5\nwords: {fit: fitted line, coat: overcoat}")
    edit(folder / "lesson.zh.md", "title: 一条直线", "title: 一条直线\nwords: {coat: 外套, shirt: 衬衫}")
    english, chinese = lessons.load(folder), lessons.load(folder, "zh", strict=True)
    assert [english.word(text) for text in ("fit", "shirt (coat)", "x")] == ["fitted line", "shirt (overcoat)", "x"]
    assert [chinese.word(text) for text in ("fit", "shirt (coat)", "8 (3)")] == ["fitted line", "衬衫 (外套)", "8 (3)"]


# ---------------------------------------------------------------- the lessons that come with it

BUILT_IN = [folder for folder in sorted(built_in().iterdir()) if (folder / "lesson.md").is_file()]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("folder", BUILT_IN, ids=lambda folder: folder.name)
def test_our_own_lessons_are_sound_in_both_languages(folder: Path, language: str) -> None:
    lesson = lessons.load(folder, language, strict=True)
    assert (lesson.language, lesson.notice) == (language, "")
    assert lessons.load_front_matter(folder, language).outline == lesson.outline
    assert lesson.outline == {section.id: section.title for section in lesson.sections}


# ---------------------------------------------------------------- inline mathematics


@pytest.mark.parametrize(
    ("markdown", "drawn"),
    [
        ("a $x$ b $y_1$", "a <x> b <y_1>"),
        ("it costs $5 or $10", "it costs $5 or $10"),
        ("from $ 5 $ on", "from $ 5 $ on"),
        (r"\$x\$", r"\$x\$"),
        ("`$x$` and ``a ` $y$`` and $z$", "`$x$` and ``a ` $y$`` and <z>"),
        ("$a\nb$", "<a b>"),
        ("$a\n\nb$", "$a\n\nb$"),
        ("    $x$\n\n$y$", "    $x$\n\n<y>"),
        ("- one\n\n    $x$", "- one\n\n    <x>"),
        ("- one\n\n  ```\n  $x$\n  ```\n\n$y$", "- one\n\n  ```\n  $x$\n  ```\n\n<y>"),
        (r"$\$5$", r"<\$5>"),
        ("**$x$**, ($y$).", "**<x>**, (<y>)."),
        ("损失$L$下降", "损失<L>下降"),
        ("$x$2", "$x$2"),
    ],
)
def test_dollars_are_mathematics_outside_code_and_prices(markdown: str, drawn: str) -> None:
    assert inline_math(markdown, lambda tex: f"<{tex}>") == drawn
