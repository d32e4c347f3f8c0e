"""The teacher's view, from recorded statuses: who needs help first, nothing of what is typed, few bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from screens import colours, in_palette, shown, text, until

from dltutor import i18n
from dltutor.attendance import as_text
from dltutor.errors import DltutorError
from dltutor.ui.classroom import ClassScreen, Details, Watch
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.dialogs import Ask
from dltutor.ui.terminal import Difference

pytestmark = pytest.mark.usefixtures("brisk")
SIZES = [(80, 24), (140, 45)]
NOW = 1_800_000_000.0
VERDICT = "dw[2, 0] has the wrong sign"


def session(number: int, name: str, minutes: float = 1, **others: Any) -> dict[str, Any]:
    """As the server tells it; `minutes` at this place."""
    return {
        "number": number, "name": name, "id": f"{number:012x}", "door": "ssh", "address": f"192.168.1.{number}",
        "since": NOW - 3600, "here_since": NOW - 60 * minutes, "idle": 3.0, "screen": "lesson", "lesson": "06-mlp",
        "section": "train", "read": 3, "sections": 7, "task": "", "tries": 0, "headline": "", "trains": False,
        "rate": 10.0, "round_trip": 0.023, "cost": 0.001, "sent": 9000, "pid": 7, "memory": 18_000_000,
    } | others  # fmt: skip


def task(number: int, name: str, tries: int, **others: Any) -> dict[str, Any]:
    about = {"screen": "exercise", "task": "01-line/mse-backward", "tries": tries, "headline": VERDICT}
    return session(number, name, **about | others)


def told(*sessions: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "since": NOW - 5400, "now": NOW, "version": "0.1.0", "sessions": list(sessions), "people": 30, "budget": {},
        "load": {"cores": 2, "load1": 0.4, "cpu": 0.43},
        "grades": {"tier": "namespaces", "reason": "", "waiting": 4, "running": 1, "done": 9},
    } | others  # fmt: skip


CLASS = told(
    session(1, "Anna", trains=True),
    session(2, "Emil", minutes=45, idle=1900.0),
    session(3, "Chen", minutes=25, lesson="15-" + "transformers" * 4),
    task(4, "李伟", 5),
    task(5, "Bob", 3),
    task(6, "Gus", 1),
    session(7, "Fay", screen="review"),
    session(8, "Dora", minutes=30, screen="home", lesson=""),
)
IN_ORDER = ["李伟", "Bob", "Chen", "Anna", "Dora", "Fay", "Gus", "Emil"]


class Recorded:
    """A desk that says the same until a test changes it, and remembers what it was told."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.now = copy.deepcopy(status)
        self.asked = 0
        self.gone = False
        self.said: list[tuple[str, str]] = []
        self.stopped: list[float] = []

    def status(self) -> dict[str, Any]:
        self.asked += 1
        if self.gone:
            raise DltutorError("no class server is running in /x")
        return copy.deepcopy(self.now)

    def say(self, words: str, to: str = "") -> int:
        self.said.append((words, to))
        return 1 if to else len(self.now["sessions"])

    def stop(self, seconds: float) -> float:
        self.stopped.append(seconds)
        return seconds


@pytest.fixture
def desk() -> Recorded:
    return Recorded(CLASS)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("en")


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dltutor.ui.classroom.EVERY", 0.05)


def watch(desk: Recorded, dark: bool = True, glyphs: str = "braille") -> Watch:
    return Watch(desk, desk.status(), Look(glyphs=glyphs), dark)


def order(pilot: Any) -> list[str]:
    """The learners from above to below."""
    screen = text(pilot)
    return sorted((name for name in IN_ORDER if name in screen), key=screen.index)


# ---------------------------------------------------------------- what is seen


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_who_needs_help_stands_first_and_says_why(desk, size):
    async with watch(desk).run_test(size=size) as pilot:
        await shown(pilot, "李伟")
        assert order(pilot) == IN_ORDER
        for words in ("8 learners", "3 may need help", "5 tries in vain", VERDICT, "here for 25 min", "01-line/mse-b",
                      "Multilayer percept", " 3/7", "31 min", "23 ms", "43%", "4 waiting"):  # fmt: skip
            assert words in text(pilot)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_in_chinese_everything_is(desk, size):
    i18n.use("zh")
    async with watch(desk).run_test(size=size) as pilot:
        await shown(pilot, "李伟")
        words = text(pilot)
        for name in [*(one["name"] for one in CLASS["sessions"]), VERDICT, "01-line/mse-backward"]:
            words = words.replace(name, "")
        assert order(pilot) == IN_ORDER
        assert not set(words.split()) & {"learner", "where", "trouble", "idle", "link", "draws", "learners", "sessions"}


async def test_however_long_a_lesson_is_called_how_far_they_are_is_seen(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "… 3/7")


async def test_half_a_terminal_shows_who_and_where_a_line_each(desk):
    async with watch(desk).run_test(size=(50, 20)) as pilot:
        await shown(pilot, "李伟")
        assert order(pilot) == IN_ORDER
        assert "01-line/mse-backward" in text(pilot)
        assert len([line for line in text(pilot).splitlines() if line.strip()]) == 3 + len(IN_ORDER) + 2 + 1


async def test_where_there_is_room_it_is_told_how_often_pictures_are_drawn(desk):
    async with watch(desk).run_test(size=(140, 45)) as pilot:
        await shown(pilot, "10/s")


@pytest.mark.parametrize("dark", [True, False])
async def test_every_colour_is_of_the_palette(desk, dark):
    async with watch(desk, dark).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "李伟")
        assert all(in_palette(colour.triplet) for colour in colours(pilot) if colour.triplet)


async def test_a_terminal_with_ascii_alone_gets_marks_that_it_has(desk):
    async with watch(desk, glyphs="ascii").run_test(size=(80, 24)) as pilot:
        await shown(pilot, "! 李伟")
        assert "? Chen" in text(pilot)
        assert not set(text(pilot)) & set("▲△")


async def test_before_anybody_comes_it_says_so(desk):
    desk.now["sessions"] = []
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Nobody is here yet.")
        desk.now["sessions"] = CLASS["sessions"]
        await shown(pilot, "李伟")
        assert "Nobody" not in text(pilot)


async def test_it_follows_the_class_and_the_choice_stays_with_the_learner(desk):
    async with watch(desk).run_test(size=(140, 45)) as pilot:
        await shown(pilot, "李伟")
        await pilot.press("j", "j", "down", "k", "j")
        assert pilot.app.screen._chosen.name == "Anna"
        anna = desk.now["sessions"][0]
        anna.update(task(1, "Anna", 7))
        await shown(pilot, "7 tries in vain")
        assert order(pilot)[0] == "Anna"
        assert pilot.app.screen._chosen.name == "Anna"
        desk.now["sessions"].remove(anna)
        await until(pilot, lambda: "Anna" not in text(pilot))
        assert order(pilot) == [name for name in IN_ORDER if name != "Anna"]


async def test_a_server_that_is_gone_is_told_and_found_again(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        desk.gone = True
        await shown(pilot, "no class server is running")
        assert "李伟" in text(pilot)
        desk.gone = False
        await shown(pilot, "43%")


async def test_what_a_session_makes_up_does_no_harm(desk):
    desk.now["sessions"] = [
        session(1, "Eve", tries="many", headline=7, section=None, read=1e300, idle="x", rate=[]),
        {},
    ]
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Eve")
    desk.now = {}
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Nobody is here yet.")


async def test_markup_in_a_name_or_a_verdict_is_shown_as_it_is(desk):
    desk.now["sessions"] = [task(1, "[red]Eve[/]", 3, headline="[b]x[0] is wrong")]
    async with watch(desk).run_test(size=(140, 45)) as pilot:
        await shown(pilot, "[red]Eve[/]")
        await pilot.press("enter")
        await shown(pilot, "last verdict")
        assert "[red]Eve[/]" in text(pilot) and "[b]x[0] is wrong" in text(pilot)


async def asked_again(pilot: Any, desk: Recorded, times: int) -> None:
    asked = desk.asked
    await until(pilot, lambda: desk.asked > asked + times)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_class_in_which_nothing_happens_costs_no_bytes(desk, size, monkeypatch):
    """What is drawn again is the same, and so nothing is sent."""
    sent: list[str] = []
    encode = Difference.encode
    monkeypatch.setattr(
        Difference, "encode", lambda self, pieces, width: sent.append(encode(self, pieces, width)) or sent[-1]
    )
    async with watch(desk).run_test(size=size) as pilot:
        await shown(pilot, "李伟")
        for _time in range(20):  # until the first drawing has come to its end
            sent.clear()
            await asked_again(pilot, desk, 2)
            if not "".join(sent):
                break
        await asked_again(pilot, desk, 5)
        assert "".join(sent) == ""


# ---------------------------------------------------------------- keys


async def test_enter_tells_more_about_one_and_keeps_up(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "李伟")
        await pilot.press("enter")
        await shown(pilot, "last verdict")
        assert isinstance(pilot.app.screen, Details)
        for words in ("01-line/mse-backward", VERDICT, "192.168.1.4", "18 MB"):
            assert words in text(pilot)
        desk.now["sessions"][3]["headline"] = "now it is the mean that is missing"
        await shown(pilot, "now it is the mean")
        del desk.now["sessions"][3]
        await shown(pilot, "has left")
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, ClassScreen)


@pytest.mark.parametrize(("language", "title"), [("en", "A rule that nobody wrote"), ("zh", "没人写过的规则")])
async def test_a_section_has_its_title_in_the_teachers_language(desk, language, title):
    i18n.use(language)
    desk.now["sessions"] = [session(1, "Ann", lesson="01-linear-regression", section="question")]
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await shown(pilot, title)


@pytest.mark.parametrize(
    ("language", "lesson", "task", "deed"),
    [
        ("en", "Multilayer perceptrons", "Write the gradient of the", "writes a kernel"),
        ("zh", "多层感知机", "写出损失的梯度", "编写内核"),
    ],
)
async def test_lessons_and_exercises_have_their_titles_and_it_is_told_what_is_done(desk, language, lesson, task, deed):
    i18n.use(language)
    at_work = {"screen": "exercise", "lesson": "01-linear-regression", "task": "mse-backward"}
    desk.now["sessions"] = [session(1, "Ann", **at_work), session(2, "Ben")]
    async with watch(desk).run_test(size=(140, 45)) as pilot:
        await shown(pilot, task)
        assert lesson in text(pilot)
        await pilot.press("enter")
        await shown(pilot, deed)


async def test_an_exercise_that_there_is_not_is_looked_for_nowhere(desk):
    desk.now["sessions"] = [task(1, "Eve", 1, lesson="01-linear-regression", task="../exercises/mse-backward")]
    async with watch(desk).run_test(size=(140, 45)) as pilot:
        await shown(pilot, "../exercises/mse-backw")


async def test_m_tells_the_class_and_M_tells_one(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "李伟")
        await pilot.press("m", *"Ten", "enter")
        await pilot.press("j", "M", *"Bob", "enter")
        await pilot.press("enter", "m", *"You", "enter")
        await until(pilot, lambda: len(desk.said) == 3)
        assert desk.said == [("Ten", ""), ("Bob", f"{5:012x}"), ("You", f"{5:012x}")]


async def test_a_message_can_be_thought_better_of(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "李伟")
        await pilot.press("m", *"No", "escape", "m", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ClassScreen))
        assert desk.said == []


async def test_s_asks_before_it_ends_the_class(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "李伟")
        await pilot.press("s", "escape")
        assert desk.stopped == []
        await pilot.press("s")
        await shown(pilot, "8 learners are told")
        await pilot.press("x", "enter")
        await shown(pilot, "is no number of seconds")
        assert isinstance(pilot.app.screen, Ask) and desk.stopped == []
        await pilot.press("backspace", *"90", "enter")
        await until(pilot, lambda: desk.stopped == [90.0])


async def test_question_mark_names_the_keys_and_q_leaves(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "李伟")
        await pilot.press("question_mark")
        await shown(pilot, "end the class; you are asked first")
        await pilot.press("escape", "q")
        await until(pilot, lambda: not pilot.app.is_running)
    assert desk.stopped == []


async def test_the_language_and_the_theme_can_be_changed(desk):
    async with watch(desk).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "8 learners")
        await pilot.press("T", "L")
        await until(pilot, lambda: "8 learners" not in text(pilot) and "李伟" in text(pilot))
        assert not pilot.app.current_theme.dark
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Details))


# ---------------------------------------------------------------- without a screen


def test_status_in_words_has_the_same_order():
    words = as_text(CLASS)
    assert sorted(IN_ORDER, key=words.index) == IN_ORDER
    assert "5 tries in vain" in words and VERDICT in words and "4 waiting" in words


def test_where_checks_are_refused_the_reason_is_told():
    grades = {"tier": "", "reason": "no user namespaces", "waiting": 0, "running": 0, "done": 0}
    assert "no user namespaces" in as_text(told(grades=grades))


def test_of_a_class_of_two_hundred_everybody_is_told():
    crowd = told(*(task(number, f"learner-{number:03}", number % 5) for number in range(200)))
    words = as_text(crowd)
    assert all(f"learner-{number:03}" in words for number in range(200))
