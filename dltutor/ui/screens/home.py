"""The course: what is due today, its parts and lessons, how far each is, and what to go on with."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalGroup, VerticalScroll
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dltutor.i18n import _, plural
from dltutor.lesson.course import Course, Entry
from dltutor.progress.days import count_due
from dltutor.progress.records import Run
from dltutor.ui.screens.sized import SizedScreen
from dltutor.ui.widgets.key_bar import KeyBar, bind

TITLE_WIDTH = 36
MARKS = {"new": "○", "started": "◐", "done": "●"}


class Lessons(OptionList):
    BINDINGS = [bind("enter", "select", "open", "open the chosen lesson")]


class Search(Input):
    BINDINGS = [
        bind("enter", "submit", "open", "open the first lesson found"),
        bind("escape", "screen.clear", "all lessons", "end the search"),
    ]


class Home(SizedScreen[None]):
    KIND = "home"
    DEFAULT_CSS = """
    Home #title { height: 1; padding: 0 2; background: $raised; }
    Home #above { padding: 1 1 0 1; }
    Home #today { padding: 0 1; border-left: wide $orange; }
    Home.-low #above { padding: 0 1; }
    Home.-low #today { max-height: 1; }
    Home #body { height: 1fr; }
    Home Lessons { width: 1fr; height: 1fr; border: none; padding: 1 1 0 1; background: $background;
        scrollbar-size-vertical: 1; }
    Home Lessons:focus { border: none; background-tint: $background 0%; }
    Home #about { width: 1fr; padding: 1 2; border-left: solid $faint; scrollbar-size-vertical: 1; }
    Home Search { display: none; padding: 0 2 !important; background: $background; border-bottom: solid $faint; }
    Home.-searching Search { display: block; }
    Home.-narrow #body { layout: vertical; }
    Home.-narrow Lessons { width: 100%; height: auto; max-height: 60%; }
    Home.-narrow #about { width: 100%; height: 1fr; border-left: none; border-top: solid $faint; padding: 0 2; }
    """
    AUTO_FOCUS = "Lessons"  # in the first picture
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]
    BINDINGS = [
        bind("v", "review", "review", "the cards that are due"),
        bind("slash", "search", "search", "find a lesson by what it is about"),
        bind("j", "down", "", "the lesson below"),
        bind("k", "up", "", "the lesson above"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""  # what the search asks for
        self._told = ""  # the lesson that is told about

    @property
    def course(self) -> Course:
        return self.app.course

    def compose(self) -> ComposeResult:
        yield Static(self._title(), id="title")
        today = self._today()
        if today:
            yield VerticalGroup(Static(today, id="today"), id="above")
        yield Search(placeholder=_("search the lessons"), compact=True)
        with Horizontal(id="body"):
            yield Lessons(*self._options())
            with VerticalScroll(id="about", can_focus=False):
                yield Static(self._first_words(), id="text")
        yield KeyBar()

    def _title(self) -> Text:
        words = _("learn deep learning from the inside")
        return Text.assemble(("dltutor", f"bold {self.app.ink('blue')}"), "  ", (words, self.app.ink("muted")))

    def on_mount(self) -> None:
        self._choose(self._told)

    async def renew(self) -> None:
        """Show everything again: another language, or other progress."""
        await self.recompose()
        self.query_one(OptionList).focus()
        self._choose(self._told)

    # ------------------------------------------------------------ today

    def _today(self) -> Text:
        """What is due, and how well the learner knows what they know; nothing for whom neither has begun."""
        lines = filter(None, [self._due(), self._calibration()])
        return Text("\n").join(lines)

    def _due(self) -> Text:
        names = [entry.id for entry in self.course.entries if not entry.problem]
        today, tomorrow = count_due(self.app.progress, names)
        text, muted = Text(), self.app.ink("muted")
        if today:
            due = plural("{n} card is due: press v", "{n} cards are due: press v", today)
            text.append(due, f"bold {self.app.ink('orange')}")
            if tomorrow:
                text.append("   " + plural("{n} more tomorrow", "{n} more tomorrow", tomorrow), muted)
        elif tomorrow:
            text.append(
                plural("Nothing is due; {n} card tomorrow", "Nothing is due; {n} cards tomorrow", tomorrow), muted
            )
        return text

    def _calibration(self) -> Text:
        """From the most certain guesses on."""
        told = {
            3: _("when certain {right} of {all}"),
            2: _("when fairly sure {right} of {all}"),
            1: _("when guessing {right} of {all}"),
        }
        known = self.app.progress.calibration()
        parts = [told[level].format(right=known[level][0], all=known[level][1]) for level in told if level in known]
        line = " · ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
        return Text(_("Right {when}").format(when=line) if line else "", self.app.ink("muted"))

    # ------------------------------------------------------------ the list

    def _options(self) -> list[Option]:
        options: list[Option] = []
        for part, title, entries in self.course.parts():
            found = [entry for entry in entries if entry.matches(self._wanted)]
            if found:
                heading = Text(_("Part {n}  {title}").format(n=part, title=title), f"bold {self.app.ink('blue')}")
                options += [Option("", disabled=True)] if options else []
                options.append(Option(heading, disabled=True))
                options += [Option(self._row(entry), id=entry.id) for entry in found]
        return options

    def _row(self, entry: Entry) -> Text:
        muted = self.app.ink("muted")
        mark = "✕" if entry.problem else MARKS[self.app.progress.state(entry.id, entry.section_ids)]
        row = Text.assemble(f" {mark} ", (f"{entry.id[:2]}  ", muted), entry.title, no_wrap=True)
        row.pad_right(max(0, TITLE_WIDTH - row.cell_len))
        if entry.minutes:
            row.append(_("{n:>4} min  ").format(n=entry.minutes), muted)
        return row.append_text(self._bar(entry)).append_text(self._passed(entry))

    def _bar(self, entry: Entry) -> Text:
        """A dash a section, the completed ones in colour."""
        done = self.app.progress.completed(entry.id)
        marks = [("━", self.app.ink("green" if id in done else "faint")) for id in entry.section_ids]
        return Text.assemble(*marks)

    def _passed(self, entry: Entry) -> Text:
        """How many of its exercises, once one was begun."""
        begun = self.app.progress.exercises(entry.id)
        if not begun:
            return Text()
        passed, total = len(self._passed_of(entry)), len(entry.exercises)
        return Text(f"  {passed}/{total}", self.app.ink("green" if passed == total else "muted"))

    def _passed_of(self, entry: Entry) -> list[str]:
        """Those that there still are."""
        begun = self.app.progress.exercises(entry.id)
        return [name for name in entry.exercises if name in begun and begun[name].passed_at]

    def _is_done(self, lesson: str) -> bool:
        entry = self.course.entry(lesson)
        return entry is not None and self.app.progress.state(lesson, entry.section_ids) == "done"

    @property
    def chosen(self) -> Entry | None:
        choices = self.query_one(OptionList)
        option = choices.highlighted_option
        return self.course.entry(option.id) if option and option.id else None

    def _choose(self, lesson: str) -> None:
        choices = self.query_one(OptionList)
        ids = [option.id for option in choices.options]
        known = [index for index, name in enumerate(ids) if name]
        choices.highlighted = ids.index(lesson) if lesson and lesson in ids else (known[0] if known else None)

    # ------------------------------------------------------------ what is said of the chosen one

    def _first_words(self) -> Text:
        """At once, so that the page is not arranged twice."""
        entries = self.course.parts()[0].entries if self.course.entries else []
        entry = self.course.entry(self._told or self.app.progress.latest() or "") or next(iter(entries), None)
        self._told = entry.id if entry else ""
        return self._about(entry) if entry else Text()

    def on_option_list_option_highlighted(self) -> None:
        if self.chosen and self.chosen.id != self._told:
            self._told = self.chosen.id
            self.query_one("#text", Static).update(self._about(self.chosen))

    def _about(self, entry: Entry) -> Text:
        if entry.problem:
            problem = self.app.public(entry.problem)
            return Text.assemble((f"{entry.id}\n", f"bold {self.app.ink('red')}"), problem)
        text = Text.assemble((f"{entry.title}\n", f"bold {self.app.ink('blue')}"), f"{entry.question}\n\n")
        text.append(self._next_step(entry), self.app.ink("orange"))
        if entry.exercises:
            told = _("Exercises: {passed} of {all} passed.")
            told = told.format(passed=len(self._passed_of(entry)), all=len(entry.exercises))
            text.append("\n" + told, self.app.ink("muted"))
        missing = [name for name in entry.requires if not self._is_done(name)]
        if missing:
            text.append("\n" + _("Builds on {lessons}.").format(lessons=", ".join(missing)), self.app.ink("muted"))
        return text.append("\n\n").append_text(self._outline(entry)).append_text(self._runs(entry))

    def _next_step(self, entry: Entry) -> str:
        place = self.app.progress.place(entry.id)
        if not place:
            return _("Enter begins.")
        return _("You are at “{section}”. Enter goes on there.").format(section=entry.section_title(place.section))

    def _outline(self, entry: Entry) -> Text:
        done = self.app.progress.completed(entry.id)
        lines = [(f"{'●' if id in done else '○'} {entry.section_title(id)}\n", id in done) for id in entry.section_ids]
        return Text.assemble(*((line, self.app.ink("muted" if read else "text")) for line, read in lines))

    def _runs(self, entry: Entry) -> Text:
        runs = self.app.progress.runs(entry.id, limit=5)
        lines = [_run_line(run, entry.heading.metric) for run in runs if entry.heading]
        return Text("\n".join(["", _("Your last runs"), *lines]) if lines else "", self.app.ink("muted"))

    # ------------------------------------------------------------ keys

    def action_review(self) -> None:
        self.app.open_review()

    def action_open(self) -> None:
        if self.chosen:
            self.app.open_lesson(self.chosen.id)

    def on_option_list_option_selected(self) -> None:
        self.action_open()

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    def action_search(self) -> None:
        self.add_class("-searching")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wanted = event.value
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options(self._options() or [Option(Text(_("nothing found")), disabled=True)])
        self._choose("")
        if not self.chosen:
            self._told = ""
            self.query_one("#text", Static).update()

    def on_input_submitted(self) -> None:
        self.query_one(OptionList).focus()
        self.action_open()

    def action_clear(self) -> None:
        self.query_one(Input).value = ""
        self.remove_class("-searching")
        self.query_one(OptionList).focus()


def _run_line(run: Run, label: Callable[[str], str]) -> str:
    values = "  ".join(f"{label(name)} {value:.3g}" for name, value in list(run.metrics.items())[:3])
    mark = "◆" if "own" in run.setting else " "  # the learner's kernel, as in the lab
    return f"{mark} " + _("{n:,} steps  {values}").format(n=run.steps, values=values)
