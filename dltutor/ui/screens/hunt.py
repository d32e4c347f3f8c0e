"""A bug hunt: a symptom, code with one fault, its suspect lines to choose from; then it is mended like an exercise."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from dltutor.i18n import _
from dltutor.lesson.exercises import SUSPECTS, Exercise, Suspect
from dltutor.ui.prose import inked
from dltutor.ui.screens.exercise import WIDE, ExerciseScreen
from dltutor.ui.typed import InTutor
from dltutor.ui.widgets.key_bar import bind
from dltutor.ui.widgets.reader import code_theme

GUTTER = 6  # cells before the code


class Line(InTutor, Static):
    """A suspect: its number, its code, and what naming it has brought to light."""

    class Clicked(Message):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, number: int, suspect: Suspect, code: Text) -> None:
        super().__init__()
        self.number, self.suspect, self._code = number, suspect, code
        self.named = self.chosen = False

    def mark(self, chosen: bool, named: bool) -> None:
        """Show whether it is the chosen one, and whether it was named."""
        self.chosen, self.named = chosen, named
        self.set_class(chosen, "-chosen")
        self.update(self._row() if not self.named else Group(self._row(), Padding(self._why(), (0, 1, 0, GUTTER))))

    def _row(self) -> Text:
        mark, colour = (" ", "orange") if not self.named else ("✓", "green") if self.suspect.fault else ("✗", "muted")
        gutter = f"{'▸' if self.chosen else ' '}{mark}{self.number} │ "
        return Text.assemble((gutter, f"bold {self.app.ink(colour)}"), self._code, no_wrap=True, overflow="ellipsis")

    def _why(self) -> RenderableType:
        first, colour = (_("That is the one."), "green") if self.suspect.fault else (_("Not this one."), "orange")
        joint = "" if first.endswith("。") else " "
        why = Text.assemble((first + joint, f"bold {self.app.ink(colour)}"), inked(self.suspect.why, self.app.ink))
        if self.suspect.fault:
            why.append("\n" + _("Now mend it: e edits, c checks."), f"bold {self.app.ink('orange')}")
        return why

    def on_click(self) -> None:
        self.post_message(self.Clicked(self.number))


class Suspects(InTutor, VerticalScroll):
    """The code as it stands, with the suspect lines numbered."""

    DEFAULT_CSS = """
    Suspects { padding: 0 1; scrollbar-size-vertical: 1; height: 1fr; }
    Suspects Static { height: auto; }
    Suspects Line.-chosen { background: $raised; }
    Suspects .asked { color: $orange; margin: 0 0 1 0; }
    """
    BINDINGS = [
        bind("up", "choose(-1)", "", "the suspect above"),
        bind("down", "choose(1)", "choose", "the suspect below", display="↑↓"),
        bind("enter", "name_chosen", "name it", "say that the chosen line is at fault"),
    ]

    class Named(Message):
        """The learner says that this line is at fault."""

        def __init__(self, suspect: Suspect) -> None:
            super().__init__()
            self.suspect = suspect

    def __init__(self, exercise: Exercise, named: set[str]) -> None:
        super().__init__()
        self._exercise, self._named = exercise, named
        self._chosen = 1

    def compose(self) -> ComposeResult:
        yield Static(_("Which line is at fault?"), classes="asked", markup=False)
        yield from self._lines()

    def _lines(self) -> Iterator[Widget]:
        assert self._exercise.hunt
        code = Syntax("", "python", theme=code_theme(self.app.ink)).highlight(self._exercise.start).split("\n")
        suspects = {suspect.number: suspect for suspect in self._exercise.hunt.suspects}
        between: list[Text] = []
        for number, line in enumerate(code, 1):
            if number not in suspects:
                between.append(Text.assemble(("    │ ", self.app.ink("faint")), line))
                continue
            if between:
                yield Static(_whole_lines(between))
            between = []
            yield Line(list(suspects).index(number) + 1, suspects[number], line)
        yield Static(_whole_lines(between))

    def on_mount(self) -> None:
        named = (line.number for line in self.query(Line) if line.suspect.line in self._named)
        self._chosen = next(named, self._chosen)
        self._mark()

    async def speak(self, exercise: Exercise) -> None:
        """The same in another language, or in other colours."""
        self._exercise = exercise
        await self.recompose()
        self.on_mount()

    def _mark(self) -> None:
        for line in self.query(Line):
            line.mark(line.number == self._chosen, line.suspect.line in self._named)
            if line.chosen:
                line.scroll_visible(animate=False)

    def action_choose(self, by: int) -> None:
        self._chosen = (self._chosen - 1 + by) % len(self.query(Line)) + 1
        self._mark()

    def action_name_chosen(self) -> None:
        self.name_line(self._chosen)

    def name_line(self, number: int) -> None:
        line = next((line for line in self.query(Line) if line.number == number), None)
        if line:
            self._chosen = line.number
            self._named.add(line.suspect.line)
            self._mark()
            self.post_message(self.Named(line.suspect))

    def on_line_clicked(self, message: Line.Clicked) -> None:
        self.name_line(message.number)


def _whole_lines(lines: list[Text]) -> Text:
    """Lines of code that are cut off, not broken, where there is no room for them."""
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


class HuntScreen(ExerciseScreen):
    KIND = "hunt"
    DEFAULT_CSS = """
    HuntScreen Editor { display: none; }
    HuntScreen.-mends Editor { display: block; }
    HuntScreen.-mends Suspects { display: none; }
    HuntScreen.-narrow.-at-suspects #work { display: block; }
    HuntScreen.-narrow.-at-suspects VerdictPane { display: none; }
    """
    BINDINGS = [
        bind(str(n), f"name({n})", "", "say that the line of this number is at fault")
        for n in range(1, SUSPECTS[1] + 1)
    ]

    def compose_written(self) -> ComposeResult:
        answer = self.app.progress.answers(self.lesson.id).get(self.exercise.name)
        yield Suspects(self.exercise, {str(answer.given)} if answer else set())
        yield from super().compose_written()

    @property
    def first_pane(self) -> str:
        return "suspects" if self.app.size.width >= WIDE else "task"

    def first_words(self) -> str:
        return _("w shows the symptom in the lab. Name the line, or mend it at once: e edits, c checks.")

    def panes(self) -> dict[str, Widget]:
        panes = super().panes()
        task = {"task": panes.pop("task")} if "task" in panes else {}
        return task | {"suspects": self.query_one(Suspects)} | panes

    def show_pane(self, name: str) -> None:
        if name in ("code", "suspects"):
            self.set_class(name == "code", "-mends")
        super().show_pane(name)

    def on_suspects_named(self, message: Suspects.Named) -> None:
        """Keep it as an answer, until it is right; then writing begins there."""
        if message.suspect.fault and self.editor.text == self.exercise.start:
            self.editor.move_cursor((message.suspect.number - 1, 0))
            self.editor.action_cursor_line_end()
        known = self.app.progress.answers(self.lesson.id).get(self.exercise.name)
        if not (known and known.right):
            with self.app.writing():
                suspect = message.suspect
                self.app.progress.add_answer(self.lesson.id, self.exercise.name, suspect.line, suspect.fault)

    def action_name(self, number: int) -> None:
        self.show_pane("suspects")
        self.query_one(Suspects).name_line(number)

    async def action_watch(self) -> None:
        """The lab trains with the fault in it."""
        await self._end(("train", self._own(self.exercise.start), self.exercise.lab))

    async def renew(self) -> None:
        await super().renew()
        await self.query_one(Suspects).speak(self.exercise)
