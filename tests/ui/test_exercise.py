"""Exercises and bug hunts, driven by keys, with verdicts made up in the place of a grader."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from graders import RIGHT, WRONG, FakeGrader
from screens import colours, in_palette, same_as_snapshot, shown, text, until
from terminals import LONGEST, Terminal
from textual import events
from textual.pilot import Pilot
from textual.screen import Screen

from dltutor import i18n, wire
from dltutor import lesson as lessons
from dltutor.progress import Progress
from dltutor.ui.app import HUNG_UP, Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.dialogs import Confirm
from dltutor.ui.screens.exercise import ExerciseScreen, task_screen
from dltutor.ui.screens.hunt import HuntScreen, Suspects
from dltutor.ui.widgets.editor import Editor

pytestmark = pytest.mark.usefixtures("brisk")
FIXTURE = Path(__file__).parents[1] / "fixtures" / "practice"
SMALL, LARGE = (80, 24), (140, 45)
SOON = 0.1  # seconds after which a file is written, and looked at


class Practice(Tutor):
    """The application with made-up graders."""

    def __init__(self, progress: Progress, answers: list[wire.Event | None]) -> None:
        super().__init__(progress, Look("256"))
        self.answers = answers
        self.graders: list[FakeGrader] = []
        self.outcomes: list = []

    def get_default_screen(self) -> Screen:
        return Screen()  # nothing but the exercise is looked at

    def make_grader(self) -> FakeGrader:
        self.graders.append(FakeGrader(self.answers))
        return self.graders[-1]

    async def _prepare_engine(self) -> None:
        pass

    @property
    def asked(self) -> list[wire.Check]:
        return [check for grader in self.graders for check in grader.asked]


@pytest.fixture
def progress(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Progress]:
    monkeypatch.setenv("DLTUTOR_LESSONS", str(FIXTURE))
    monkeypatch.setattr("dltutor.ui.screens.exercise.LOSS", SOON)
    monkeypatch.setattr("dltutor.manuscript.POLL", SOON)
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


@asynccontextmanager
async def at(
    progress: Progress, name: str = "mse-backward", *answers: wire.Event | None, size=SMALL, theme: str = ""
) -> AsyncIterator[Pilot]:
    """The screen of the exercise `name`; its checks come out as `answers` say."""
    app = Practice(progress, list(answers) or [WRONG])
    if theme:
        app.theme = theme
    async with app.run_test(size=size, notifications=True) as pilot:
        lesson = lessons.load(FIXTURE, i18n.current())
        app.push_screen(task_screen(lesson, name), app.outcomes.append)
        await until(pilot, lambda: isinstance(app.screen, ExerciseScreen) and app.screen.query("Task Markdown"))
        await pilot.pause()
        yield pilot


def editor(pilot: Pilot) -> Editor:
    return pilot.app.screen.query_one(Editor)


def file(progress: Progress, name: str = "mse-backward") -> Path:
    return progress.path.parent / "exercises" / "practice" / f"{name}.py"


def kept(progress: Progress) -> str:
    path = file(progress)
    return path.read_text() if path.exists() else ""


def save_elsewhere(path: Path, words: str) -> None:
    """As an editor does it: whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(words)
    path.with_suffix(".new").replace(path)


async def write(pilot: Pilot, line: str) -> None:
    """Write `line` in the place of the third, and stay in the text."""
    await pilot.press("e")
    await until(pilot, lambda: pilot.app.screen.writes)
    editor(pilot).replace("", (2, 0), (2, 99))
    editor(pilot).move_cursor((2, 0))
    await pilot.press(*line)


def task_screen_start(name: str) -> str:
    return (FIXTURE / "exercises" / name / "start.py").read_text(encoding="utf-8")


async def test_a_wrong_kernel_gets_its_verdict(progress):
    async with at(progress) as pilot:
        await shown(pilot, "Write the gradient")
        await pilot.press("c")
        await shown(pilot, "dy is wrong in 5 of 6 places")
        for words in ("is it y - t?", "dy[2, 0]", "-1.25", "here I am"):
            assert words in text(pilot)


# ---------------------------------------------------------------- writing


async def test_what_is_written_is_checked_as_it_is_written(progress):
    async with at(progress) as pilot:
        await write(pilot, "    dy[:] += y - t")
        await pilot.press("ctrl+r")
        await shown(pilot, "dy is wrong")
        assert pilot.app.asked[-1].exercise == "practice/mse-backward"
        assert pilot.app.asked[-1].source == editor(pilot).text
        assert "dy[:] += y - t" in editor(pilot).text


async def test_letters_are_text_while_one_writes_and_keys_after_escape(progress):
    async with at(progress) as pilot:
        await write(pilot, "# chest")
        assert "# chest" in editor(pilot).text
        assert not pilot.app.asked
        await pilot.press("escape", "c")
        await shown(pilot, "dy is wrong")
        assert "# chestc" not in editor(pilot).text


async def test_a_click_into_the_text_or_enter_begins_to_write(progress):
    async with at(progress, size=LARGE) as pilot:
        await pilot.click(Editor, offset=(20, 2))
        await until(pilot, lambda: pilot.app.screen.writes)
        await pilot.press("escape", "enter")
        await until(pilot, lambda: pilot.app.screen.writes)


async def test_a_new_line_is_as_deep_as_the_one_before_and_deeper_after_a_colon(progress):
    async with at(progress) as pilot:
        await write(pilot, "    for i in range(y.size):")
        await pilot.press("enter", *"x = 1", "enter", *"y = 2", "enter", "backspace", *"z")
        assert editor(pilot).text.splitlines()[-4:] == [
            "    for i in range(y.size):",
            "        x = 1",
            "        y = 2",
            "    z",
        ]


async def test_tab_writes_spaces_and_moves_chosen_lines(progress):
    async with at(progress) as pilot:
        await pilot.press("e")
        area = editor(pilot)
        area.replace_all("ab\ncd\n")
        area.move_cursor((0, 0))
        await pilot.press("shift+down", "shift+down", "tab")
        assert area.text == "    ab\n    cd\n"
        await pilot.press("shift+tab")
        assert area.text == "ab\ncd\n"
        area.move_cursor((0, 2))
        await pilot.press("tab", "x")
        assert area.text == "ab  x\ncd\n"


async def test_what_is_written_is_in_the_file_a_second_later(progress):
    async with at(progress) as pilot:
        await write(pilot, "# kept")
        await until(pilot, lambda: "# kept" in kept(progress))


async def test_leaving_keeps_the_text_and_the_place(progress):
    async with at(progress) as pilot:
        await write(pilot, "# kept")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.outcomes == [None])
    assert "# kept" in kept(progress)
    async with at(progress) as pilot:
        await until(pilot, lambda: editor(pilot).has_focus)
        assert editor(pilot).cursor_location == (2, len("# kept"))


async def test_a_terminal_that_is_gone_leaves_the_text_in_the_file(progress):
    async with at(progress) as pilot:
        await write(pilot, "# kept")
        await pilot.app._close_screens()
        assert "# kept" in kept(progress)
        assert all(grader.closed for grader in pilot.app.graders)


async def test_a_disk_that_takes_nothing_is_told_and_the_text_stays(progress, home):
    async with at(progress) as pilot:
        (home / "exercises").write_text("in the way")
        await write(pilot, "# kept")
        await shown(pilot, "This is not saved")
        assert "# kept" in editor(pilot).text


async def test_a_file_that_cannot_be_read_is_put_aside(progress, home):
    path = file(progress)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00def")
    async with at(progress) as pilot:
        await shown(pilot, "is not UTF-8")
        assert editor(pilot).text == pilot.app.screen.exercise.start
    assert [other.read_bytes() for other in path.parent.glob("mse-backward.*.py")] == [b"\xff\xfe\x00def"]


# ---------------------------------------------------------------- other editors


async def test_a_save_from_outside_is_shown_and_checked(progress):
    async with at(progress) as pilot:
        await write(pilot, "# here")
        await until(pilot, lambda: "# here" in kept(progress))
        save_elsewhere(file(progress), "def mse_backward(y, t, dy):\n    dy += t  # from outside\n")
        await until(pilot, lambda: "from outside" in editor(pilot).text)
        await until(pilot, lambda: pilot.app.asked and "from outside" in pilot.app.asked[-1].source)
        await shown(pilot, "dy is wrong")


async def test_the_same_text_saved_again_is_checked_again(progress):
    async with at(progress) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: len(pilot.app.asked) == 1 and "dy is wrong" in text(pilot))
        save_elsewhere(file(progress), editor(pilot).text)
        await until(pilot, lambda: len(pilot.app.asked) == 2)


async def test_saved_here_and_outside_both_are_kept(progress):
    async with at(progress) as pilot:
        path = file(progress)
        await write(pilot, "# first")
        await until(pilot, lambda: "# first" in kept(progress))
        editor(pilot).insert(" mine")
        save_elsewhere(path, "# outside\n")  # before what is written here can be saved
        await shown(pilot, "saved elsewhere")
        await until(pilot, lambda: "# first mine" in kept(progress))
        assert [other.read_text() for other in path.parent.glob("mse-backward.*.py")] == ["# outside\n"]


async def test_without_an_editor_the_path_is_told(progress, monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    async with at(progress, size=LARGE) as pilot:
        await pilot.press("E")
        await shown(pilot, "EDITOR is not set")
        assert "each time you save it" in text(pilot) and file(progress).exists()


# ---------------------------------------------------------------- checking


async def test_the_line_at_fault_is_marked_until_it_changes(progress):
    async with at(progress, size=LARGE) as pilot:
        await pilot.press("c")
        await shown(pilot, "dy is wrong")
        await until(pilot, lambda: "2✗" in text(pilot))
        await pilot.press("e", "x")
        await until(pilot, lambda: "2✗" not in text(pilot))
        await shown(pilot, "written before")


async def test_checking_is_said_at_once_and_escape_cancels(progress):
    async with at(progress, "mse-backward", None) as pilot:
        await pilot.press("c")
        await shown(pilot, "checking… gradient")
        await pilot.press("c", "escape")
        await shown(pilot, "Cancelled")
        await until(pilot, lambda: pilot.app.graders[0].closed)
        assert len(pilot.app.asked) == 1
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.outcomes == [None])


async def test_a_grader_that_dies_is_told_and_replaced(progress):
    dead = wire.Failed("the grader ended unexpectedly (SIGKILL)", "Nothing is lost.", fatal=True)
    async with at(progress, "mse-backward", dead, RIGHT) as pilot:
        await pilot.press("c")
        await shown(pilot, "ended unexpectedly")
        await pilot.press("c")
        await shown(pilot, "Everything is right")
        assert len(pilot.app.graders) == 2


async def test_a_save_while_it_is_being_checked_is_checked_afterwards(progress):
    async with at(progress, "mse-backward", None) as pilot:
        await write(pilot, "# first")
        await pilot.press("ctrl+r")
        await shown(pilot, "checking… gradient")
        save_elsewhere(file(progress), "# second\n")
        await until(pilot, lambda: editor(pilot).text == "# second\n")
        pilot.app.graders[0].say(WRONG, number=1)
        await until(pilot, lambda: [check.source for check in pilot.app.asked][1:] == ["# second\n"])


async def test_a_grader_stays_warm_for_the_next_exercise_unless_it_is_still_at_work(progress):
    async with at(progress, "mse-backward", WRONG, None, RIGHT) as pilot:
        await pilot.press("c")
        await shown(pilot, "dy is wrong")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.outcomes == [None])
        assert not pilot.app.graders[0].closed
        pilot.app.push_screen(task_screen(lessons.load(FIXTURE), "flat-line"), pilot.app.outcomes.append)
        await shown(pilot, "Bug hunt")
        await pilot.press("c")
        await shown(pilot, "checking… gradient")
        assert len(pilot.app.graders) == 1
        await pilot.press("t")
        await until(pilot, lambda: pilot.app.graders[0].closed)


async def test_attempts_are_kept(progress):
    async with at(progress, "mse-backward", WRONG, RIGHT) as pilot:
        await pilot.press("c")
        await shown(pilot, "dy is wrong")
        await pilot.press("c")
        await shown(pilot, "Everything is right")
    async with at(progress, size=LARGE) as pilot:
        await shown(pilot, "Last time: Everything is right")
    first, second = progress.attempts("practice", "mse-backward")
    assert (first.passed, first.headline, first.cause) == (False, WRONG.headline, "sign")
    assert second.passed and progress.exercise("practice", "mse-backward").passed_at


async def test_success_stays_until_n(progress):
    async with at(progress, "mse-backward", RIGHT) as pilot:
        await pilot.press("n")
        await pilot.press("e", "ctrl+r")
        await shown(pilot, "n goes on")
        assert not pilot.app.outcomes and "passed" in text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.outcomes == [None])


async def test_training_takes_what_is_written_even_if_it_is_wrong(progress):
    async with at(progress) as pilot:
        await write(pilot, "# mine")
        await pilot.press("escape", "t")
        await until(pilot, lambda: pilot.app.outcomes)
    what, own, body = pilot.app.outcomes[0]
    assert (what, own.exercise, own.passed) == ("train", "practice/mse-backward", False)
    assert "# mine" in own.source and own.kernels == ["dltutor/kernels/mse.py:mse_backward"]
    assert body == {}


async def test_what_has_passed_is_said_to_the_lab(progress):
    async with at(progress, "mse-backward", RIGHT) as pilot:
        await pilot.press("c")
        await shown(pilot, "Everything is right")
    async with at(progress) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: pilot.app.outcomes)
    assert pilot.app.outcomes[0][1].passed


# ---------------------------------------------------------------- help of all kinds


async def test_hints_come_one_at_a_time_and_stay(progress):
    async with at(progress) as pilot:
        await pilot.press("h")
        await shown(pilot, "Hint 1 of 3")
        assert "Hint 2 of 3" not in text(pilot)
        await pilot.press("h", "h")
        await shown(pilot, "Hint 3 of 3")
        await pilot.press("h")
        await shown(pilot, "all the hints")
    assert progress.exercise("practice", "mse-backward").hints == 3
    async with at(progress) as pilot:
        await shown(pilot, "Hint 1 of 3")


async def test_the_solution_asks_first_is_marked_and_leaves_the_file_alone(progress):
    async with at(progress, size=LARGE) as pilot:
        start = editor(pilot).text
        await pilot.press("s")
        await shown(pilot, "Show a solution?")
        await pilot.press("n")
        assert not progress.exercise("practice", "mse-backward").seen
        await pilot.press("s", "y")
        await shown(pilot, "One right answer")
        assert "solution seen" in text(pilot) and progress.exercise("practice", "mse-backward").seen
        assert editor(pilot).text == start
        await pilot.press("s")
        await until(pilot, lambda: "One right answer" not in text(pilot))


async def test_the_solution_can_be_taken_over_and_undone(progress):
    async with at(progress) as pilot:
        await write(pilot, "# mine")
        await pilot.press("escape", "s", "y", "u", "y")
        await until(pilot, lambda: editor(pilot).text == pilot.app.screen.exercise.solution)
        await pilot.press("e", "ctrl+z")
        await until(pilot, lambda: "# mine" in editor(pilot).text)


async def test_a_reset_asks_and_can_be_undone(progress):
    async with at(progress) as pilot:
        await write(pilot, "# mine")
        await pilot.press("escape", "x")
        await shown(pilot, "Begin anew?")
        await pilot.press("escape")
        assert "# mine" in editor(pilot).text
        await pilot.press("x", "y")
        await until(pilot, lambda: editor(pilot).text == pilot.app.screen.exercise.start)
        assert "# mine" not in kept(progress)
        await pilot.press("e", "ctrl+z")
        await until(pilot, lambda: "# mine" in editor(pilot).text)


# ---------------------------------------------------------------- everywhere


async def test_tab_turns_through_task_code_and_verdict(progress):
    async with at(progress) as pilot:
        assert pilot.app.screen.pane == "task"
        await pilot.press("tab")
        await until(pilot, lambda: pilot.app.screen.pane == "code" and "def mse_backward" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: pilot.app.screen.pane == "task")
        await pilot.press("c")
        await shown(pilot, "dy is wrong")
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: pilot.app.screen.pane == "verdict")


async def test_the_language_changes_and_the_text_stays(progress):
    async with at(progress) as pilot:
        await write(pilot, "# mine")
        await pilot.press("escape", "L")
        await shown(pilot, "写出平方误差的梯度")
        assert "# mine" in editor(pilot).text
        await pilot.press("L")


@pytest.mark.parametrize("theme", ["dltutor-dark", "dltutor-light"])
@pytest.mark.parametrize("name", ["mse-backward", "flat-line"])
async def test_every_colour_is_an_entry_of_the_xterm_palette(progress, name, theme):
    async with at(progress, name, WRONG, RIGHT, size=LARGE, theme=theme) as pilot:
        for keys in ("c", "e", "escape", "2", "h", "c", "s", "y"):
            await pilot.press(keys)
            await pilot.pause()
            strange = [colour.name for colour in colours(pilot) if colour.triplet and not in_palette(colour.triplet)]
            assert not strange, keys


@pytest.mark.parametrize("where", [ExerciseScreen, HuntScreen, Suspects, Editor, Confirm])
def test_every_key_says_what_it_does(where):
    own = vars(where)["BINDINGS"]
    assert own and all(binding.tooltip for binding in own)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])
async def test_every_screen_looks_as_it_did(progress, size, language):
    i18n.use(language)
    name = f"{language}-{size[0]}x{size[1]}-dark"
    async with at(progress, "mse-backward", WRONG, RIGHT, size=size) as pilot:
        pilot.app.screen.verdict.wait("")  # not the path, which is another each time
        await same_as_snapshot(pilot, f"exercise-{name}")
        await pilot.press("c")
        await same_as_snapshot(pilot, f"exercise-wrong-{name}")
        await pilot.press("c")
        await same_as_snapshot(pilot, f"exercise-right-{name}")
    async with at(progress, "flat-line", size=size) as pilot:
        await same_as_snapshot(pilot, f"hunt-{name}")
        await pilot.press("1", "2")
        await same_as_snapshot(pilot, f"hunt-named-{name}")


# ---------------------------------------------------------------- bug hunts


async def test_a_sound_line_says_why_it_is_sound(progress):
    async with at(progress, "flat-line") as pilot:
        await shown(pilot, "The loss falls, and the line stays flat.")
        await pilot.press("1")
        await shown(pilot, "counted as it should be")
        assert "Not this one." in text(pilot)
        assert not progress.answers("practice")["flat-line"].right


async def test_the_line_at_fault_is_named_with_arrow_keys_and_kept(progress):
    async with at(progress, "flat-line", size=LARGE) as pilot:
        await pilot.press("down", "enter")
        await shown(pilot, "That is the one.")
        await pilot.press("1")
        await shown(pilot, "Not this one.")
    answer = progress.answers("practice")["flat-line"]
    assert answer.right and answer.given.startswith("error")  # looking at others afterwards changes nothing
    async with at(progress, "flat-line", size=LARGE) as pilot:
        await shown(pilot, "That is the one.")


async def test_a_hunt_can_be_mended_without_naming(progress):
    async with at(progress, "flat-line", RIGHT) as pilot:
        await pilot.press("e", "ctrl+r")
        await shown(pilot, "Everything is right")
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.outcomes == [None])
    assert not progress.answers("practice")


async def test_the_symptom_is_watched_with_the_fault_in_it(progress):
    async with at(progress, "flat-line") as pilot:
        await pilot.press("e", *"# mine", "escape", "w")
        await until(pilot, lambda: pilot.app.outcomes)
    assert pilot.app.outcomes[0][1].source == task_screen_start("flat-line")


async def test_an_exercise_has_no_symptom_to_watch(progress):
    async with at(progress) as pilot:
        await pilot.press("w")
        await pilot.pause()
        assert not pilot.app.outcomes


async def test_writing_begins_where_something_is_to_be_written(progress):
    async with at(progress) as pilot:
        row, _column = editor(pilot).cursor_location
        assert "# your lines" in editor(pilot).document[row]


async def test_keys_take_effect_in_their_order_however_fast_they_come(progress):
    async with at(progress) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: editor(pilot).has_focus)
        for key in ("a", "b", "backspace", "c", "backspace", "backspace", "d", "left", "e"):
            editor(pilot).post_message(events.Key(key, key if len(key) == 1 else None))
        await shown(pilot, "# your lines hereed")


async def test_writing_begins_at_the_line_that_was_found(progress):
    async with at(progress, "flat-line", size=LARGE) as pilot:
        fault = next(suspect for suspect in pilot.app.screen.exercise.hunt.suspects if suspect.fault)
        await pilot.press(str(pilot.app.screen.exercise.hunt.suspects.index(fault) + 1))
        await shown(pilot, "That is the one.")
        assert editor(pilot).document[editor(pilot).cursor_location[0]].strip() == fault.line


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])
async def test_a_verdict_on_an_older_text_says_so(progress, size):
    async with at(progress, "mse-backward", WRONG, size=size) as pilot:
        await pilot.press("c")
        await shown(pilot, "yours")
        assert "written before" not in text(pilot)
        await pilot.press("e", "x", "escape", "tab")
        await shown(pilot, "written before")


async def test_a_screen_is_arranged_for_its_size_before_it_is_told_of_it(progress):
    async with at(progress) as pilot:
        with pilot.app._context():
            assert task_screen(pilot.app.screen.lesson, "mse-backward").has_class("-narrow")


# ---------------------------------------------------------------- a real process


def sees(terminal: Terminal, words: str) -> None:
    """Wait until `words` stand on the screen, which is sent whole when ctrl+l asks for it."""
    deadline = time.monotonic() + LONGEST
    terminal.written = ""
    while words not in terminal.written:
        assert time.monotonic() < deadline, f"{words!r} did not come; it wrote {terminal.written[-2000:]!r}"
        terminal.press("\x0c")
        for _moment in range(20):
            terminal.idle()
            if words in terminal.written:
                return


@pytest.fixture
def terminal(progress: Progress, tmp_path: Path) -> Iterator[Terminal]:
    """The application in the text of an exercise, in a terminal of its own."""
    script = tmp_path / "editor.py"
    script.write_text("import sys\nwith open(sys.argv[1], 'a') as file:\n    file.write('# by my editor\\n')\n")
    running = Terminal("launch", "practice", EDITOR=f"{sys.executable} {script}", VISUAL="")
    try:
        sees(running, "press e")
        running.press("e")
        sees(running, "enter opens it")
        running.press("\r")
        sees(running, "task/code")
        running.press("e")
        sees(running, "^s")
        yield running
    finally:
        running.close()


def test_a_terminal_that_goes_away_takes_nothing_with_it(terminal, progress):
    terminal.press("# kept")
    sees(terminal, "# kept")
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.end() == HUNG_UP
    assert "# your lines here# kept" in kept(progress)


def test_a_kill_costs_what_was_written_in_the_last_second(terminal, progress):
    terminal.press("# kept")
    deadline = time.monotonic() + LONGEST
    while "# kept" not in kept(progress):
        assert time.monotonic() < deadline
        terminal.idle()
    terminal.press(" and more")
    terminal.process.kill()
    terminal.end()
    assert kept(progress).startswith("def ") and "# your lines here# kept" in kept(progress)


def test_an_editor_of_ones_own_takes_the_terminal_and_its_save_is_shown(terminal, progress):
    terminal.written = ""
    terminal.press("\x1b")
    terminal.until("EDITOR")  # a key that comes with escape would be taken for one with alt
    terminal.press("E")
    sees(terminal, "by my editor")
    assert kept(progress).endswith("# by my editor\n")


async def test_lines_are_seen_from_their_beginning(progress):
    """The cursor was placed before the screen had its size, behind what fits into a smaller one."""
    written = file(progress)
    written.parent.mkdir(parents=True)
    written.write_text(
        "def mse_backward(y, t, dy):\n    dy[0] += 0  # your line: what belongs in the place of the nought?\n"
    )
    async with at(progress, size=LARGE) as pilot:
        await shown(pilot, "def mse_backward")
        await until(pilot, lambda: editor(pilot).scroll_offset.x == 0)
