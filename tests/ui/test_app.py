"""The application, driven by keys, with recordings in the place of engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from screens import colours, in_palette, same_as_snapshot, shown, text, until
from textual.pilot import Pilot

from dltutor import i18n, wire
from dltutor.link import Playback
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.dialogs import Answer, Ask, Help, Message
from dltutor.ui.screens.home import Home, Lessons, Search
from dltutor.ui.screens.lesson import LessonScreen
from dltutor.ui.widgets.knobs import Knobs
from dltutor.ui.widgets.lab import Lab
from dltutor.ui.widgets.reader import Experiment

pytestmark = pytest.mark.usefixtures("brisk")
RECORDINGS = Path(__file__).parents[1] / "recordings"
SMALL, LARGE = (80, 24), (140, 45)


@pytest.fixture
def progress(home: Path) -> AsyncIterator[Progress]:
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


class LiveTutor(Tutor):
    """Takes a playback for an engine that trains."""

    def make_link(self):
        return Playback(RECORDINGS / "06-mlp.jsonl", 0.0)

    async def _prepare_engine(self):
        pass

    def keep_run(self, state):
        self._play = None
        super().keep_run(state)


@asynccontextmanager
async def tutor(
    progress: Progress, lesson: str = "", size=SMALL, play: str = "", theme: str = "", kind=Tutor
) -> AsyncIterator[Pilot]:
    """The application with an instant playback for its engine; nothing is compiled."""
    app = kind(progress, Look("256"), lesson, RECORDINGS / f"{play or lesson or '06-mlp'}.jsonl")
    app.play_speed = 0.0
    if theme:
        app.theme = theme
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query(Lab if lesson else "#title"))
        yield pilot


def lab(pilot: Pilot) -> Lab:
    return pilot.app.screen.query_one(Lab)


async def trained(pilot: Pilot) -> None:
    await until(pilot, lambda: lab(pilot).state.status == "done")
    await pilot.app.workers.wait_for_complete([w for w in pilot.app.workers if w.group == "engine"])
    lab(pilot).draw()
    await pilot.pause()


# ---------------------------------------------------------------- how the screens look


@pytest.mark.parametrize("theme", ["dltutor-dark", "dltutor-light"])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_screen_looks_as_it_did(progress, size, theme, language):
    i18n.use(language)
    name = f"{language}-{size[0]}x{size[1]}-{theme.removeprefix('dltutor-')}"
    async with tutor(progress, size=size, theme=theme) as pilot:
        await pilot.pause()
        await same_as_snapshot(pilot, f"home-{name}")
    async with tutor(progress, "06-mlp", size, theme=theme) as pilot:
        await trained(pilot)
        await same_as_snapshot(pilot, f"text-{name}")
        await pilot.press("tab")
        if size == LARGE:
            await pilot.press("f")
        await pilot.pause()
        lab(pilot).redraw()
        await pilot.pause()
        await same_as_snapshot(pilot, f"lab-{name}")
        await pilot.press("question_mark")
        await pilot.pause()
        await same_as_snapshot(pilot, f"help-{name}")


@pytest.mark.parametrize("theme", ["dltutor-dark", "dltutor-light"])
async def test_every_colour_is_an_entry_of_the_xterm_palette(progress, theme):
    async with tutor(progress, "06-mlp", LARGE, theme=theme) as pilot:
        await trained(pilot)
        for keys in ([], ["tab", "k"], ["d"], ["question_mark"]):
            await pilot.press(*keys)
            await pilot.pause()
            strange = [colour.name for colour in colours(pilot) if colour.triplet and not in_palette(colour.triplet)]
            assert not strange


# ---------------------------------------------------------------- home


async def test_a_search_finds_a_lesson_by_its_question_and_enter_opens_it(progress):
    async with tutor(progress) as pilot:
        await pilot.press("slash", *"spiral")
        await until(pilot, lambda: "Linear" not in text(pilot) and "Multilayer" in text(pilot))
        await pilot.press("enter")
        await shown(pilot, "1/")
        assert pilot.app.screen.lesson.id == "06-mlp"


async def test_leaving_and_coming_back_lands_in_the_same_section_with_the_same_knobs(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        await pilot.press("n", "n", "tab", "k", "right", "escape", "escape", "escape")
        await until(pilot, lambda: not pilot.app.screen.query(Lab))
        turned = progress.place("06-mlp").setting["knobs"]
    async with tutor(progress, "06-mlp") as pilot:
        await shown(pilot, "3/")
        assert lab(pilot).knobs == turned != pilot.app.screen.lesson.setting()
        assert progress.completed("06-mlp") == {section.id for section in pilot.app.screen.lesson.sections[:2]}


async def test_the_lesson_left_last_is_the_one_to_go_on_with(progress):
    progress.set_place("02-logistic-regression", "sigmoid")
    async with tutor(progress) as pilot:
        await until(pilot, lambda: pilot.app.screen.chosen and pilot.app.screen.chosen.id == "02-logistic-regression")


# ---------------------------------------------------------------- the lab


async def test_a_run_is_kept_once_with_its_setting_and_curves(progress):
    async with tutor(progress, "06-mlp", kind=LiveTutor) as pilot:
        await trained(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: progress.runs("06-mlp"))
    (run,) = progress.runs("06-mlp")
    assert run.ended == "done" and run.steps > 0
    assert "knobs" in run.setting and "seed" in run.setting
    assert len(progress.curves(run.id)["loss"].values) == run.steps + 1


async def test_playing_a_recording_adds_no_run(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
    assert not progress.runs("06-mlp")


async def test_numbers_that_go_bad_are_named_with_step_and_tensor(progress):
    async with tutor(progress, "01-linear-regression", play="diverged") as pilot:
        await pilot.press("tab")
        await shown(pilot, "first bad tensor")
        assert lab(pilot).state.status == "failed"
        await pilot.press("r")


async def test_an_engine_that_dies_is_told_with_a_remedy_and_the_text_stays(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        lab(pilot).hear(wire.Failed("the engine ended unexpectedly (SIGKILL)", "Nothing is lost.", fatal=True))
        await pilot.press("tab")
        await shown(pilot, "space starts a new one")
        await pilot.press("space")
        await trained(pilot)


async def test_the_pictures_say_themselves_in_words(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        await pilot.press("tab", "d")
        await shown(pilot, "fell from")


async def test_a_number_brings_its_picture_forward_and_hides_it_again(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        await pilot.press("tab", "5")
        await shown(pilot, "5 ")
        await until(pilot, lambda: lab(pilot)._shown[0] == lab(pilot).lesson.pictures[4].name)
        await pilot.press("5")
        await until(pilot, lambda: lab(pilot).lesson.pictures[4].name not in lab(pilot)._shown)


async def test_a_typed_value_out_of_range_is_refused_with_the_range(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        names = list(lab(pilot).knobs)
        await pilot.press("tab", "k", *["down"] * names.index("lr"), "enter")
        await shown(pilot, "a number from")
        await pilot.press(*["backspace"] * 8, *"99", "enter")
        await shown(pilot, "lr can't be 99")
        await pilot.press(*["backspace"] * 2, *"0.02", "enter")
        await until(pilot, lambda: lab(pilot).knobs["lr"] == 0.02)


# ---------------------------------------------------------------- everywhere


async def test_the_language_changes_under_way_and_stays(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        before = text(pilot)
        await pilot.press("L")
        await until(pilot, lambda: text(pilot) != before and "课程" in text(pilot))
    assert progress.preference("language") == "zh"


async def test_formulas_can_be_seen_as_they_were_written(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        await pilot.press("n", "m")
        await shown(pilot, "$$")
        await pilot.press("m")
        await until(pilot, lambda: "$$" not in text(pilot))


async def test_a_terminal_too_small_says_so_and_recovers(progress):
    async with tutor(progress, size=(20, 5)) as pilot:
        await shown(pilot, "40x12")
        await pilot.resize_terminal(80, 24)
        await shown(pilot, "Linear regression")


async def test_a_broken_recording_is_told_in_the_lab(progress, tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    app = Tutor(progress, Look("256"), "06-mlp", broken)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: pilot.app.screen.query(Lab))
        await pilot.press("tab")
        await shown(pilot, "cannot play")


async def test_playback_is_what_was_recorded():
    link = Playback(RECORDINGS / "06-mlp.jsonl", speed=0)
    events = [event async for event in link.events()]
    assert isinstance(events[-1], wire.Finished)
    assert any(isinstance(event, wire.Frame) for event in events)


# ---------------------------------------------------------------- knobs


@asynccontextmanager
async def turning(progress: Progress) -> AsyncIterator[tuple[Pilot, Knobs]]:
    """The lab of lesson 6 with the focus on its first knob."""
    async with tutor(progress, "06-mlp", LARGE) as pilot:
        await trained(pilot)
        await pilot.press("tab", "k")
        knobs = lab(pilot).query_one(Knobs)
        await until(pilot, lambda: knobs.has_focus)
        yield pilot, knobs


async def test_arrow_keys_choose_a_knob_and_turn_it(progress):
    async with turning(progress) as (pilot, knobs):
        names = list(knobs.knobs)
        await pilot.press("down")
        assert knobs.chosen.name == names[1]
        await pilot.press("up", "up")
        assert knobs.chosen.name == names[-1]
        await pilot.press("down", "down")
        knob = knobs.chosen
        await pilot.press("right")
        await until(pilot, lambda: lab(pilot).knobs[knob.name] == knob.nudge(knob.default, 1))
        await pilot.press("left")
        await until(pilot, lambda: lab(pilot).knobs[knob.name] == knob.default)


async def test_backspace_puts_a_knob_back(progress):
    async with turning(progress) as (pilot, knobs):
        knob = knobs.chosen
        await pilot.press("right")
        await until(pilot, lambda: lab(pilot).knobs[knob.name] != knob.default)
        await pilot.press("backspace")
        await until(pilot, lambda: lab(pilot).knobs[knob.name] == knob.default)


async def test_a_click_chooses_a_knob(progress):
    async with turning(progress) as (pilot, knobs):
        await pilot.click(Knobs, offset=(3, 2))  # its border is row 0
        await until(pilot, lambda: knobs.chosen.name == list(knobs.knobs)[1])


async def test_escape_leaves_the_knobs_and_then_the_lesson(progress):
    async with turning(progress) as (pilot, knobs):
        await pilot.press("escape")
        await until(pilot, lambda: not knobs.has_focus and pilot.app.screen.in_lab)


async def test_k_opens_the_knobs_from_the_text_where_only_one_is_seen(progress):
    async with tutor(progress, "06-mlp", SMALL) as pilot:
        await trained(pilot)
        await pilot.press("k")
        await until(pilot, lambda: lab(pilot).query_one(Knobs).has_focus)


# ---------------------------------------------------------------- what the lab says


async def test_what_a_lab_printed_is_told_and_shown(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        lab(pilot).hear(wire.Printed("weights [0.5]\n"))
        await pilot.press("tab")
        await shown(pilot, "it printed")
        await pilot.press("d")
        await shown(pilot, "weights [0.5]")


async def test_a_fault_is_told_with_its_remedy_and_where_it_was(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        trace = "\n".join(f"line {n}" for n in range(30))
        lab(pilot).hear(wire.Failed("shapes [3] differ", "Look at the lab.", trace=trace))
        await pilot.press("tab")
        for words in ("shapes [3] differ", "Look at the lab.", "line 29"):
            await shown(pilot, words)


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "where", [Tutor, Home, LessonScreen, Help, Message, Ask, Search, Lessons, Answer, Knobs, Experiment]
)
def test_every_key_says_what_it_does(where):
    assert where.BINDINGS and all(binding.tooltip for binding in where.BINDINGS)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_help_is_named_wherever_one_is(progress, language):
    i18n.use(language)
    async with tutor(progress, "06-mlp", SMALL) as pilot:
        await trained(pilot)
        for keys in ([], ["tab"], ["k"]):
            await pilot.press(*keys)
            await until(pilot, lambda: "? " in text(pilot).splitlines()[-1])
            last = text(pilot).splitlines()[-1]
            assert last.endswith(("help", "帮助", "quit", "退出")), last


async def test_a_lesson_opened_from_within_another_takes_its_place(progress):
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        first = lab(pilot)
        pilot.app.open_lesson("01")
        await shown(pilot, "Linear regression")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2 and not first.is_attached)


async def test_saying_the_pictures_does_not_change_how_many_there_is_room_for(progress):
    """The words take the same room whatever they say: else pictures and words would push each other to and fro."""
    async with tutor(progress, "06-mlp") as pilot:
        await trained(pilot)
        await pilot.press("tab", "d")
        await shown(pilot, "fell from")
        sizes = set()
        for _time in range(4):
            lab(pilot).redraw()
            await pilot.pause()
            sizes.add(pilot.app.screen.query_one("#board").size)
        assert len(sizes) == 1
