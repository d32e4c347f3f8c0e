"""The course: its parts and lessons, how far each is, and what to go on with."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dltutor.course import Course, Entry
from dltutor.i18n import _
from dltutor.ui.widgets.key_bar import KeyBar, bind

MARKS = {"new": "○", "started": "◐", "done": "●"}


class Lessons(OptionList):
    BINDINGS = [bind("enter", "select", "open", "open the chosen lesson")]


class Home(Screen):
    DEFAULT_CSS = """
    Home #title { height: 2; padding: 0 2; border-bottom: solid $faint; }
    Home #body { height: 1fr; }
    Home OptionList { width: 3fr; border: none; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    Home OptionList:focus { border: none; }
    Home #about { width: 2fr; padding: 1 2; border-left: solid $faint; }
    Home Input { display: none; border: none; height: 1; padding: 0 2; }
    Home.-searching Input { display: block; }
    Home.-narrow #body { layout: vertical; }
    Home.-narrow OptionList { width: 100%; height: 1fr; }
    Home.-narrow #about { width: 100%; height: 7; border-left: none; border-top: solid $faint; padding: 0 2; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    BINDINGS = [
        bind("slash", "search", "search", "find a lesson by what it is about"),
        bind("escape", "clear", "", "end the search"),
        bind("j", "down", "", "the lesson below"),
        bind("k", "up", "", "the lesson above"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""  # what the search asks for

    @property
    def course(self) -> Course:
        return self.app.course

    def compose(self) -> ComposeResult:
        yield Static(self._title(), id="title")
        yield Input(placeholder=_("search the lessons"))
        with Horizontal(id="body"):
            yield Lessons(*self._options())
            with VerticalScroll(id="about", can_focus=False):
                yield Static(id="text")
        yield KeyBar()

    def _title(self) -> Text:
        words = _("learn deep learning from the inside")
        return Text.assemble(("dltutor", f"bold {self.app.ink('primary')}"), "  ", (words, self.app.ink("muted")))

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._choose(self.app.progress.latest() or "")

    async def renew(self) -> None:
        """Show everything again: another language, or other progress."""
        chosen = self.chosen
        await self.recompose()
        self.query_one(OptionList).focus()
        self._choose(chosen.id if chosen else "")

    # ------------------------------------------------------------ the list

    def _options(self) -> list[Option]:
        options: list[Option] = []
        for part, title, entries in self.course.parts():
            found = [entry for entry in entries if entry.matches(self._wanted)]
            if found:
                heading = Text(_("Part {n}  {title}").format(n=part, title=title), f"bold {self.app.ink('primary')}")
                options.append(Option(heading, disabled=True))
                options += [Option(self._row(entry), id=entry.id) for entry in found]
        return options

    def _row(self, entry: Entry) -> Text:
        state = self.app.progress.state(entry.id, entry.section_ids)
        mark = "✕" if entry.problem else MARKS[state]
        row = Text.assemble(f" {mark} ", (entry.id[:2], self.app.ink("muted")), f"  {entry.title}", no_wrap=True)
        if entry.minutes:
            row.append(_("  {n} min").format(n=entry.minutes), self.app.ink("muted"))
        if state == "started":
            row.append(f"  {self._done(entry)}", self.app.ink("accent"))
        return row

    def _done(self, entry: Entry) -> str:
        done = len(self.app.progress.completed(entry.id))
        return _("{done} of {total} sections").format(done=done, total=entry.section_count)

    def _is_done(self, lesson: str) -> bool:
        entry = self.course.entry(lesson)
        return bool(entry) and self.app.progress.state(lesson, entry.section_ids) == "done"

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

    def on_option_list_option_highlighted(self) -> None:
        if self.chosen:
            self.query_one("#text", Static).update(self._about(self.chosen))

    def _about(self, entry: Entry) -> Text:
        if entry.problem:
            return Text.assemble((f"{entry.id}\n", f"bold {self.app.ink('error')}"), entry.problem)
        text = Text.assemble((f"{entry.title}\n", f"bold {self.app.ink('primary')}"), f"{entry.question}\n\n")
        place = self.app.progress.place(entry.id)
        if place:
            text.append(
                _("You are at “{section}”. Enter goes on there.").format(section=entry.section_title(place.section))
            )
        else:
            text.append(_("Enter begins."))
        missing = [name for name in entry.requires if not self._is_done(name)]
        if missing:
            text.append("\n" + _("Builds on {lessons}.").format(lessons=", ".join(missing)), self.app.ink("muted"))
        return text

    # ------------------------------------------------------------ keys

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

    def on_input_submitted(self) -> None:
        self.query_one(OptionList).focus()
        self.action_open()

    def action_clear(self) -> None:
        self.query_one(Input).value = ""
        self.remove_class("-searching")
        self.query_one(OptionList).focus()
