"""The application: one course, one progress file, one look; screens come and go."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.timer import Timer

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson.course import Course, catalogue
from dltutor.progress import Progress
from dltutor.ui import resume
from dltutor.ui.plots.look import Look, memory_of
from dltutor.ui.screens.home import Home
from dltutor.ui.terminal import TerminalMixin
from dltutor.ui.theme import DARK, LIGHT
from dltutor.ui.widgets.key_bar import EVERYWHERE, bind

if TYPE_CHECKING:  # not needed for the first paint
    from dltutor.checking import Grader
    from dltutor.link import EngineLink, Link, Playback
    from dltutor.ui.run_state import RunState
    from dltutor.ui.screens.lesson import LessonScreen


HUNG_UP = 128 + signal.SIGHUP  # exit code
LAST_SECOND = 1.0  # that engines and graders have to end in


class Tutor(TerminalMixin, App[None]):
    TITLE = "dltutor"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [
        *EVERYWHERE,
        bind("q", "leave_app", "quit", "leave; everything is kept"),
        bind("ctrl+p", "command_palette", "", "a command or a lesson, found by typing", priority=True),
        bind("ctrl+q", "leave_app", "", "leave; everything is kept", priority=True),
    ]

    def __init__(
        self,
        progress: Progress,
        look: Look,
        lesson: str = "",
        play: Path | None = None,
        device: str = "cpu",
        review: bool = False,
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # a key's answer is the next frame, also over SSH
        self.progress = progress
        self.device = device
        self.course = self.read_course()
        self.runs: list[RunState] = []  # of this sitting, for the words after quitting
        self._look = look
        self._first_lesson, self._review_first = lesson, review
        self._notice = ""  # the last thing said of the progress file
        self._open_place = resume.OpenPlace(progress)
        self._place_timer: Timer | None = None  # runs while a change of place is not kept yet
        self._play = play
        self.asks_glyphs = False  # whether to ask at the start which of them the terminal has
        self._spare: EngineLink | None = None
        self.play_speed = 1.0  # 0: all at once
        if i18n.current() != "en":
            break_lines()
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = LIGHT.name if progress.preference("theme") == LIGHT.name else DARK.name

    # ------------------------------------------------------------ what screens ask for

    def read_course(self) -> Course:
        return catalogue(i18n.current())

    @property
    def plot_look(self) -> Look:
        return replace(self._look, dark=self.current_theme.dark)

    def ink(self, name: str) -> str:
        """A colour of the theme, for Rich."""
        return self.theme_variables[name]

    @property
    def is_hosted(self) -> bool:
        """This is a session of a class server: no file, no program of that machine is the learner's to see."""
        return False

    def public(self, text: str) -> str:
        """`text` as this learner may read it."""
        return text

    @property
    def is_playing(self) -> bool:
        """A recording stands for all engines."""
        return bool(self._play)

    def make_link(self, locked: bool = False) -> EngineLink | Playback:
        """What a lab talks to: the recording that is played; else the engine that waits for a lesson, or a new one, and
        where it is `locked` always a new one."""
        from dltutor.link import EngineLink, Playback

        if self._play:
            return Playback(self._play, self.play_speed)
        if locked:
            return EngineLink(locked=True)
        spare, self._spare = self._spare, None
        return spare or EngineLink()

    @cached_property
    def grader(self) -> Grader:
        """What checks exercises: one for all of a lesson, so that it stays warm."""
        from dltutor.checking import Grader

        return Grader(self.make_grader)

    def make_grader(self) -> Link:
        from dltutor.link import GraderLink

        return GraderLink()

    async def _prepare_engine(self) -> None:
        """Start an engine before it is known for which lesson: it takes a second, and nobody waits for it."""
        from dltutor.link import EngineLink
        from dltutor.wire import Prepare

        if self._play or self._spare or self.device != "cpu":
            return
        spare = EngineLink()
        with contextlib.suppress(OSError):  # no process to be had: told when a lesson wants one
            await spare.start()
            await spare.send(Prepare())
            self._spare = spare

    async def _dismiss_spare(self) -> None:
        """End the processes that wait for something to do."""
        if self._spare:
            await self._spare.close()
        self._spare = None
        await self._dismiss_grader()

    async def _dismiss_grader(self) -> None:
        if "grader" in vars(self):
            await self.grader.close()

    def keep_run(self, state: RunState) -> None:
        self.runs.append(state)
        if self._play:  # it was kept when it was run
            return
        with self.writing():
            self.progress.add_run(**state.for_progress())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around a change of the progress file: what cannot be written is said, once, and stops nobody."""
        try:
            yield
        except DltutorError as error:
            self.notify(str(error), title=_("Progress"), severity="warning", timeout=10)
        self._tell_notice()

    def _tell_notice(self) -> None:
        if self.progress.notice != self._notice:
            self._notice = self.progress.notice
            self.notify(self._notice, title=_("Progress"), severity="warning", timeout=20)

    # ------------------------------------------------------------ coming and going

    def get_default_screen(self) -> Screen:
        return Home()

    def on_mount(self) -> None:
        self.call_after_refresh(break_lines)
        with contextlib.suppress(ValueError, NotImplementedError):  # not in the main thread, or not this system
            self._hear_signals()
        self._tell_notice()
        self.call_after_refresh(lambda: self.run_worker(self._begin()))

    async def _begin(self) -> None:
        await self._prepare_engine()
        if self.asks_glyphs:
            await self._choose_glyphs()
        if self._first_lesson:
            self.open_lesson(self._first_lesson)
        elif self._review_first:
            self.open_review()
        else:
            await self.go_back()

    # ------------------------------------------------------------ a sitting that broke off

    def place_changed(self) -> None:
        """The learner is elsewhere now: it is kept soon."""
        if self._place_timer is None and not self._play:
            self._place_timer = self.set_timer(resume.PERIOD, self.keep_place)

    def keep_place(self) -> None:
        self._place_timer = None
        if not self.is_running:  # its screens are being taken down
            return
        with self.writing():
            self._open_place.keep(self.place())

    def place(self) -> resume.Place:
        return resume.place_of(self.screen_stack)

    async def go_back(self) -> None:
        """To where the last sitting broke off, if it did; what is no longer there is left out."""
        if self.screen_stack[1:]:  # the learner was quicker
            return
        with contextlib.suppress(DltutorError, ValueError):
            await self._go_to(self._open_place.left_behind(alone=self.is_hosted))
        if self.screen_stack[1:]:
            self.notify(_("You are back where you were."), title=_("The last session broke off"), timeout=8)

    async def _go_to(self, place: resume.Place) -> None:
        if "lesson" in place:
            await self._open_at(place)
        if "review" in place:
            from dltutor.ui.screens.review import ReviewScreen

            await self.push_screen(ReviewScreen(place["review"]))

    async def _open_at(self, place: resume.Place) -> None:
        from dltutor.ui.screens.lesson import LessonScreen

        lesson = self.course.find(place["lesson"]).load()
        known = self.progress.place(lesson.id)
        if "section" in place:
            with self.writing():
                setting = known.setting if known else {}
                self.progress.set_place(lesson.id, place["section"], place.get("scroll", 0.0), setting)
        screen = LessonScreen(lesson)
        await self._show_lesson(screen)
        screen.go_to(place)
        if "task" in place:
            await screen.open_task(place["task"].get("name", ""), place["task"])

    # ------------------------------------------------------------ signals

    def _hear_signals(self) -> None:
        """A polite end, and a terminal that is gone: either way everything is kept."""
        import asyncio

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self.run_worker(self.leave()))
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        """Nobody is there to restore a terminal for, and writing to it would block for ever; engines end with us."""
        try:
            self.save()
            for screen in self.screen_stack:
                if lab := getattr(screen, "lab", None):
                    lab.keep()
        finally:
            os._exit(HUNG_UP)

    def open_lesson(self, name: str, section: str = "") -> None:
        """Where the learner left it, or at `section`."""
        try:
            lesson = self.course.find(name).load()
        except DltutorError as error:
            self.say(_("This lesson cannot be opened"), str(error))
            return
        from dltutor.ui.screens.lesson import LessonScreen  # its Markdown is not needed for the first paint

        self.run_worker(self._show_lesson(LessonScreen(lesson, section)))

    async def _show_lesson(self, screen: LessonScreen) -> None:
        """In place of another lesson where one is open: one engine at a time."""
        if self.screen_stack[1:]:
            await self._close_screens()
            while self.screen_stack[1:]:
                await self.pop_screen()
        await self.push_screen(screen)

    def leave_lesson(self) -> None:
        self.pop_screen()
        self.run_worker(self._renew_screens())
        self.run_worker(self._dismiss_grader())
        self.run_worker(self._prepare_engine())

    def open_review(self) -> None:
        from dltutor.ui.screens.review import ReviewScreen  # as the lesson

        if not isinstance(self.screen, ReviewScreen):
            self.push_screen(ReviewScreen())

    def on_review_card_asked(self) -> None:
        self.open_review()

    def leave_review(self) -> None:
        self.pop_screen()
        self.run_worker(self._renew_screens())

    def say(self, title: str, text: str) -> None:
        from dltutor.ui.screens.dialogs import Message

        self.push_screen(Message(title, text))

    async def action_leave_app(self) -> None:
        with self.writing():
            self._open_place.forget()
        await self.leave()

    async def leave(self) -> None:
        """The next sitting goes on here."""
        import asyncio

        self.save()
        with contextlib.suppress(TimeoutError):  # whatever does not end, ends with us
            await asyncio.wait_for(self._close_screens(), LAST_SECOND)
        self.exit()

    def save(self) -> None:
        """Keep all there is, now."""
        self.save_screens()
        self.keep_place()

    def save_screens(self) -> None:
        for screen in self.screen_stack:
            if hasattr(screen, "save") and screen.is_mounted:
                screen.save()

    def rescue(self) -> None:
        with contextlib.suppress(Exception):
            self.save_screens()  # not the place: it may be what cannot be shown

    async def _close_screens(self) -> None:
        for screen in self.screen_stack:
            if hasattr(screen, "close"):
                await screen.close()
        await self._dismiss_spare()

    # ------------------------------------------------------------ keys of everywhere

    def action_keys(self) -> None:
        from dltutor.ui.screens.dialogs import Help

        self.push_screen(Help(self.screen))

    def action_redraw(self) -> None:
        self.redraw()

    async def action_language(self) -> None:
        i18n.use("zh" if i18n.current() == "en" else "en")
        with self.writing():
            self.progress.set_preference("language", i18n.current())
        self.course = self.read_course()
        await self._dismiss_spare()  # they speak the language in which they were started
        await self._renew_screens()

    def action_theme(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name
        with self.writing():
            self.progress.set_preference("theme", self.theme)
        self.call_after_refresh(self._renew_screens)  # once the new colours are known

    def action_glyphs(self) -> None:
        self.run_worker(self._choose_glyphs())

    async def _choose_glyphs(self) -> None:
        """What the learner sees counts more than what the terminal is called, from now on and in all like it."""
        from dltutor.ui.screens.glyphs import WhichGlyphs

        seen = await self.push_screen_wait(WhichGlyphs())
        self._look = replace(self._look, glyphs=seen or self._look.glyphs)
        with self.writing():
            self.progress.set_preference(memory_of(os.environ), self._look.glyphs)
        await self._renew_screens()

    async def _renew_screens(self) -> None:
        for screen in self.screen_stack:
            if hasattr(screen, "renew"):
                await screen.renew()
        self.screen.refresh_bindings()

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        yield SystemCommand(_("Keys"), _("all keys of this screen"), self.action_keys)
        yield SystemCommand("中文 / English", _("English or Chinese"), self.action_language)
        yield SystemCommand(_("Theme"), _("dark or light"), self.action_theme)
        yield SystemCommand(_("What this terminal shows"), _("dots, blocks or ASCII"), self.action_glyphs)
        yield SystemCommand(_("Review"), _("the cards that are due"), self.open_review)
        yield SystemCommand(_("Quit"), _("leave; everything is kept"), self.action_leave_app)
        for _part, _title, entries in self.course.parts():
            for entry in entries:
                title = f"{entry.id[:2]}  {entry.title}"
                yield SystemCommand(title, entry.question, lambda name=entry.id: self.open_lesson(name))

    # ------------------------------------------------------------ a terminal too small to read in

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._fit, event.size)  # what it imports is not needed for the first paint

    def _fit(self, size: Size) -> None:
        from dltutor.ui.screens.dialogs import SMALLEST, TooSmall

        small = size.width < SMALLEST[0] or size.height < SMALLEST[1]
        shown = isinstance(self.screen, TooSmall)
        if small and not shown:
            self.push_screen(TooSmall())
        elif shown and not small:
            self.pop_screen()


def break_lines() -> None:
    """Break lines of Chinese between characters. It takes 5 ms to get ready: not before a first paint in English."""
    from dltutor.ui import chinese

    chinese.break_lines()
