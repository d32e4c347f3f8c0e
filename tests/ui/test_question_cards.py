"""Quizzes, predictions and tasks in the text, driven by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from screens import composed, same_as_snapshot, shown, text, until
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen

from dltutor import i18n
from dltutor import lesson as lessons
from dltutor.lesson import Lesson, Section
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.widgets.cards import ReviewCard, TaskCard
from dltutor.ui.widgets.key_bar import KeyBar
from dltutor.ui.widgets.questions import QuizCard
from dltutor.ui.widgets.reader import Experiment, Reader

pytestmark = pytest.mark.usefixtures("brisk")
FIXTURE = Path(__file__).parents[1] / "fixtures" / "asking"
PANES = {"80x24": 80, "140x45": 70}  # cells of the reader
TALL = 190  # rows in which the whole fixture fits


@pytest.fixture
def progress(home: Path) -> Iterator[Progress]:
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


class Page(Screen):
    def __init__(self, lesson: Lesson, section: str) -> None:
        super().__init__()
        self._shown = lesson, [each.id for each in lesson.sections].index(section)

    def compose(self) -> ComposeResult:
        yield Reader(*self._shown)
        yield KeyBar()


class Reading(Tutor):
    """Shows the text alone, and remembers what it was asked for."""

    def __init__(self, progress: Progress, lesson: Lesson, section: str, look: Look) -> None:
        super().__init__(progress, look)
        self._page = Page(lesson, section)
        self.asked: list[object] = []

    def get_default_screen(self) -> Screen:
        return self._page

    async def _prepare_engine(self) -> None:
        pass

    def on_quiz_card_answered(self, message: QuizCard.Answered) -> None:
        self.asked.append((message.lesson, message.item, message.right))

    def on_experiment_chosen(self, message: Experiment.Chosen) -> None:
        self.asked.append(message.body["id"])

    def on_task_card_chosen(self, message: TaskCard.Chosen) -> None:
        self.asked.append(message.name)

    def on_review_card_asked(self, _message: ReviewCard.Asked) -> None:
        self.asked.append("review")


@asynccontextmanager
async def reading(
    progress: Progress, section: str = "all", language: str = "en", size: tuple[int, int] = (80, 24), look: str = ""
) -> AsyncIterator[Pilot]:
    i18n.use(language)
    lesson = lessons.load(FIXTURE, language, strict=True)
    if section == "all":
        blocks = tuple(block for each in lesson.sections for block in each.blocks)
        lesson = replace(lesson, sections=(Section("all", lesson.title, blocks),))
    app = Reading(progress, lesson, section, Look("256", look or "braille"))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query(Reader))
        await composed(pilot, reader(pilot))
        yield pilot


def reader(pilot: Pilot) -> Reader:
    return pilot.app.screen.query_one(Reader)


async def press(pilot: Pilot, *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def ask(pilot: Pilot, number: int = 1) -> None:
    """Focus the next question, so many times."""
    for _time in range(number):
        reader(pilot).next_question()
        await pilot.pause()


# ---------------------------------------------------------------- how they look

ANSWERS = [  # to each question in turn: some right, some wrong
    ["1"],
    ["1", "down", "space", "enter", "s"],
    [*"21", "enter"],
    ["J", "enter"],
    ["3"],
    ["2", "2"],
    ["2", "3"],
    [*"80", "enter", *"85", "enter", "1"],
]


@pytest.mark.parametrize("size", PANES)
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_kind_looks_as_it_did(progress, language, size):
    name = f"{language}-{size}"
    async with reading(progress, "all", language, (PANES[size], TALL)) as pilot:
        await same_as_snapshot(pilot, f"questions-open-{name}")
        for keys in ANSWERS:
            await ask(pilot)
            await press(pilot, *keys)
        await press(pilot, "escape")
        await same_as_snapshot(pilot, f"questions-answered-{name}")


@pytest.mark.parametrize(("language", "look"), [("en", "ascii"), ("zh", "braille"), ("zh", "block")])
async def test_nothing_is_wider_than_half_of_the_smallest_screen(progress, language, look):
    async with reading(progress, "all", language, (40, 300), look) as pilot:
        for keys in ([], *ANSWERS):
            await ask(pilot)
            await press(pilot, *keys)
        for card in reader(pilot).query("Card"):
            lines = card.lines(card.content_size.width)
            assert max(line.cell_len for line in lines) <= card.content_size.width == 35
        seen = text(pilot)
        assert all(cell_len(line) <= 40 for line in seen.splitlines())


async def test_without_braille_curves_are_drawn_with_what_there_is(progress):
    async with reading(progress, "curve", look="ascii") as pilot:
        assert not any("\u2800" <= character <= "\u28ff" for character in text(pilot))
        assert "***" in text(pilot)


# ---------------------------------------------------------------- quizzes


async def test_a_wrong_answer_says_why_and_can_be_mended(progress):
    async with reading(progress, "one") as pilot:
        await ask(pilot)
        await press(pilot, "3")
        await shown(pilot, "Not right. It has a sign")
        await shown(pilot, "comes back tomorrow")
        await press(pilot, "enter", "2")
        await shown(pilot, "Right. The step is")
        assert pilot.app.asked == [("asking", "downhill", False), ("asking", "downhill", True)]
        assert progress.answers("asking")["downhill"].given == 1
        assert progress.card("asking", "downhill")


async def test_the_answer_is_one_key_away_after_a_wrong_one(progress):
    async with reading(progress, "one") as pilot:
        await ask(pilot)
        await press(pilot, "s")
        assert "The answer" not in text(pilot)
        await press(pilot, "1", "s")
        await shown(pilot, "The answer: 2. The step is")
        assert not progress.answers("asking")["downhill"].right


async def test_arrows_and_enter_choose_too(progress):
    async with reading(progress, "one") as pilot:
        await ask(pilot)
        await press(pilot, "down", "enter")
        await shown(pilot, "Right.")


async def test_a_click_on_a_choice_answers(progress):
    async with reading(progress, "one") as pilot:
        await ask(pilot)
        card = pilot.app.screen.query_one(QuizCard)
        _row, first, _end = card._places[1]
        await pilot.click(card, offset=(8, first))
        await shown(pilot, "Right. The step is")


async def test_an_answer_is_there_again_with_its_day(progress):
    progress.add_answer("asking", "downhill", 0, False)
    async with reading(progress, "one") as pilot:
        await shown(pilot, "Not right. That climbs")
        assert progress.answers("asking")["downhill"].at[:4] in text(pilot)


async def test_an_answer_to_another_version_of_the_question_counts_for_nothing(progress):
    progress.add_answer("asking", "downhill", 7, True)
    async with reading(progress, "one") as pilot:
        await shown(pilot, "press a")


async def test_several_are_ticked_and_all_must_be_right(progress):
    async with reading(progress, "several") as pilot:
        await ask(pilot)
        await press(pilot, "enter")
        assert not pilot.app.asked  # nothing is ticked yet
        await press(pilot, "2", "enter")
        await shown(pilot, "1 right one is missing.")
        await press(pilot, "enter", "2", "down", "down", "space", "enter")
        await shown(pilot, "Right.")
        assert progress.answers("asking")["learnt"].given == [0, 2]


async def test_a_number_is_typed(progress):
    async with reading(progress, "number") as pilot:
        await ask(pilot)
        await press(pilot, *"2x1", "enter")  # an x is no part of a number
        await shown(pilot, "That is the sum.")
        await press(pilot, "enter", *"8", "backspace", *"7,00", "enter")
        await shown(pilot, "Right.")


async def test_what_is_no_number_is_said_and_not_counted(progress):
    async with reading(progress, "number") as pilot:
        await ask(pilot)
        await press(pilot, *"7.7.7", "enter")
        await shown(pilot, "7.7.7 is no number")
        assert not progress.answers("asking")


async def test_steps_are_moved_into_their_order(progress):
    async with reading(progress, "order") as pilot:
        await ask(pilot)
        card = reader(pilot).query_one(QuizCard)
        while card._shown != sorted(card._shown):
            wrong = next(n for n in range(4) if card._shown[n] > card._shown[n + 1])
            while card._cursor != wrong:
                await press(pilot, "down")
            await press(pilot, "shift+down")
        await press(pilot, "enter")
        await shown(pilot, "Right. Each needs")
        assert progress.answers("asking")["one-step"].given == [0, 1, 2, 3, 4]


async def test_a_plot_stands_in_its_question(progress):
    async with reading(progress, "plot") as pilot:
        await shown(pilot, "train loss")
        assert any("\u2800" < character <= "\u28ff" for character in text(pilot))


async def test_a_card_asked_anew_knows_no_old_answer(progress):
    progress.add_answer("asking", "downhill", 1, True)
    async with reading(progress, "one") as pilot:
        quiz = reader(pilot).query_one(QuizCard).quiz
        await pilot.app.screen.mount(QuizCard("asking", quiz, fresh=True, id="fresh"), after=0)
        assert pilot.app.screen.query_one("#fresh", QuizCard).is_open


# ---------------------------------------------------------------- predictions


async def test_a_guess_is_kept_before_the_run_and_can_be_changed_until_then(progress):
    async with reading(progress, "curve") as pilot:
        await ask(pilot)
        await press(pilot, "1")
        assert not progress.guess("asking", "too-long")  # not before one has said how sure
        await press(pilot, "3")
        await shown(pilot, "You guessed: it stays where it is (certain).")
        assert (progress.guess("asking", "too-long").guess, progress.guess("asking", "too-long").confidence) == (3, 3)
        await press(pilot, "enter", "down", "enter", "left", "enter")
        await shown(pilot, "You guessed: it explodes (just guessing).")
        assert progress.guess("asking", "too-long").guess == 2
        await press(pilot, "g")
        assert pilot.app.asked == ["fast"]


async def test_once_it_was_run_the_card_says_what_became_of_the_guess(progress):
    async with reading(progress, "level") as pilot:
        await ask(pilot)
        await press(pilot, *"95", "enter", *"90", "enter", "2")
        await shown(pilot, "You guessed: 90 to 95% (fairly sure).")
        progress.resolve_guess("asking", "how-many", 94.0, True)
        reader(pilot).renew_cards()
        await shown(pilot, "You said 90 to 95%; it is 94%: you had it. A line cuts")
        await shown(pilot, "fairly sure: right in 1 of 1")
        await press(pilot, "enter")
        await shown(pilot, "you had it")  # it can't be changed any more


async def test_a_range_outside_of_what_can_be_is_asked_for_again(progress):
    async with reading(progress, "level") as pilot:
        await ask(pilot)
        await press(pilot, *"50", "enter", *"500", "enter")
        await shown(pilot, "It lies between 0% and 100%.")
        await press(pilot, "backspace", "enter")
        await shown(pilot, "How sure are you?")
        await press(pilot, "backspace")  # back to the numbers
        await shown(pilot, "highest  5")
        await press(pilot, "5", "enter", "1")
        await shown(pilot, "You guessed: 50 to 55% (just guessing).")


async def test_where_nothing_is_run_the_truth_is_told_at_once(progress):
    async with reading(progress, "outcome") as pilot:
        await ask(pilot)
        await press(pilot, "4", "2")
        await shown(pilot, "You said: 4. In fact: 3.")
        await shown(pilot, "right in 0 of 1")
        assert progress.guess("asking", "xor").right is False


async def test_a_guess_at_work_is_not_disturbed(progress):
    progress.add_guess("asking", "too-long", 0, 1)
    async with reading(progress, "curve") as pilot:
        await shown(pilot, "You guessed: it falls as ever")
        await ask(pilot)
        await press(pilot, "enter", "1")
        reader(pilot).renew_cards()
        await shown(pilot, "How sure are you?")


async def test_what_a_run_has_told_is_seen_on_coming_back_to_the_text(progress):
    progress.add_guess("asking", "too-long", 0, 1)
    async with reading(progress, "curve", size=(40, 24)) as pilot:
        await shown(pilot, "Predict")
        reader(pilot).query_one(Experiment).focus(scroll_visible=False)
        reader(pilot).scroll_home(animate=False)
        progress.resolve_guess("asking", "too-long", 2, False)
        reader(pilot).renew_cards()
        await pilot.pause()
        assert "So far" not in text(pilot)
        reader(pilot).focus()
        await shown(pilot, "So far")


# ---------------------------------------------------------------- in the text


async def test_escape_leaves_the_card_and_the_keys_of_the_text_work_in_it(progress):
    async with reading(progress, "one") as pilot:
        await ask(pilot)
        assert isinstance(pilot.app.focused, QuizCard)
        await press(pilot, "escape")
        assert pilot.app.focused is reader(pilot)


async def test_the_next_question_is_the_next_and_the_first_one_not_yet_answered(progress):
    progress.add_answer("asking", "downhill", 1, True)
    async with reading(progress, "all", size=(80, TALL)) as pilot:
        await ask(pilot)
        assert pilot.app.focused.content.id == "learnt"
        await ask(pilot)
        assert pilot.app.focused.content.id == "mean-square"


async def test_a_long_card_is_scrolled_such_that_its_verdict_is_seen(progress):
    async with reading(progress, "plot") as pilot:
        await ask(pilot)
        await press(pilot, "2")
        await shown(pilot, "Not right.")
        await shown(pilot, "enter: try again")


async def test_another_language_keeps_the_question_and_the_answer(progress):
    async with reading(progress, "one") as pilot:
        await ask(pilot)
        await press(pilot, "1")
        i18n.use("zh")
        await reader(pilot).show(lessons.load(FIXTURE, "zh"), 0)
        await shown(pilot, "那是爬坡")
        assert isinstance(pilot.app.focused, QuizCard)


async def test_tasks_say_how_far_one_is(progress):
    async with reading(progress, "tasks") as pilot:
        await shown(pilot, "new · 10 minutes")
        progress.note_attempt("asking", "write-it", "x", False)
        progress.note_attempt("asking", "write-it", "x", False)
        progress.note_seen("asking", "find-it")
        reader(pilot).renew_cards()
        await shown(pilot, "2 tries")
        await shown(pilot, "solution seen")
        progress.note_attempt("asking", "write-it", "x", True)
        reader(pilot).renew_cards()
        await shown(pilot, "✓ passed")


async def test_tasks_and_review_ask_to_be_opened(progress):
    async with reading(progress, "tasks") as pilot:
        await shown(pilot, "2 cards")
        for card in pilot.app.screen.query_one(Reader).query("Card"):
            card.action_open()
        await until(pilot, lambda: pilot.app.asked == ["write-it", "find-it", "review"])
