"""One section of a lesson at a time: text, mathematics drawn in two dimensions, kernels, experiments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Markdown, Static

from dltutor import lesson as lessons
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson import Code, Formula, Lesson, Section, Text, exercises, questions
from dltutor.ui.prose import drawn, inline, unbroken
from dltutor.ui.typed import InTutor
from dltutor.ui.widgets.cards import Card, ReviewCard, TaskCard
from dltutor.ui.widgets.key_bar import bind
from dltutor.ui.widgets.predictions import PredictCard
from dltutor.ui.widgets.questions import Question, QuizCard


@functools.cache
def parser() -> MarkdownIt:
    """Reads Markdown in which no line breaks within a short formula or piece of code."""
    reader = MarkdownIt("gfm-like")
    reader.core.ruler.push("hold_together", hold_together)
    return reader


def hold_together(state: StateCore) -> None:
    for token in state.tokens:
        for child in token.children or ():
            if child.type == "code_inline":
                child.content = unbroken(child.content)


def code_theme(ink: Callable[[str], str]) -> ANSISyntaxTheme:
    """Few colours, all of the theme's own."""
    names = {
        Token: "text", Comment: "muted", String: "green", String.Doc: "muted", Number: "orange", Keyword: "blue",
        Operator: "text", Name.Decorator: "muted", Name.Function: "blue", Name.Builtin: "text",
    }  # fmt: skip
    return ANSISyntaxTheme({token: Style(color=ink(name)) for token, name in names.items()})


class Experiment(Static, can_focus=True):
    """A setting of the lab to try: press the key, and it runs so."""

    DEFAULT_CSS = """
    Experiment { border-left: wide $orange; padding: 0 1; margin: 0 0 1 0; color: $text; }
    Experiment:focus { background: $raised; }
    """
    BINDINGS = [bind("enter", "run", "", "run this experiment")]

    class Chosen(Message):
        def __init__(self, body: dict[str, Any]) -> None:
            super().__init__()
            self.body = body

    def __init__(self, body: dict[str, Any], lesson: Lesson) -> None:
        self.body = body
        super().__init__(self._text(lesson), markup=False)

    def _text(self, lesson: Lesson) -> str:
        turned = self.body.get("set", {})
        knobs = [(lesson.knobs[name], value) for name, value in turned.items()]
        setting = " · ".join(f"{knob.label} {knob.format(value)}" for knob, value in knobs)
        return f"▶ {self.body['label']}   {_('press g')}" + (f"\n  {setting}" if setting else "")

    def action_run(self) -> None:
        self.post_message(self.Chosen(self.body))

    def on_click(self) -> None:
        self.action_run()


class Reader(InTutor, VerticalScroll):
    """Shows a section; `source` shows formulas as they were written."""

    DEFAULT_CSS = """
    Reader { padding: 0 1; scrollbar-size-vertical: 1; }
    Reader Markdown { padding: 0; margin: 0; height: auto; }
    Reader MarkdownH1, Reader MarkdownH2 { margin: 0 0 1 0; padding: 0; content-align: left middle; }
    Reader MarkdownBlock { margin: 0 0 1 0; }
    Reader Markdown MarkdownBlock > .code_inline { color: $blue !important; background: $background !important; }
    Reader MarkdownTableContent { keyline: none; grid-gutter: 0 1; max-width: 60; }
    Reader MarkdownTableContent > .header { color: $muted; }
    Reader .formula { color: $blue; margin: 0 0 1 0; padding: 0 2; width: 100%; }
    Reader .code { margin: 0 0 1 0; padding: 0 1; background: $background; border-left: tall $faint; }
    Reader .kernel { margin: 0 0 1 0; padding: 0 1; border: round $faint; border-title-color: $blue;
        border-subtitle-color: $muted; height: auto; }
    """
    BINDINGS = [bind("escape", "read_on", "text", "back to the text")]

    class Scrolled(Message):
        """Another part of the section is seen."""

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Nothing of it looks different then, and for each thing in it that would have to be found out."""

    def __init__(self, lesson: Lesson, section: int, **options: Any) -> None:
        super().__init__(**options)
        self.lesson = lesson
        self.index = section
        self.source = False

    @property
    def section(self) -> Section:
        return self.lesson.sections[self.index]

    def experiments(self) -> list[dict[str, Any]]:
        return [widget.body for widget in self.section.widgets() if widget.kind == "lab"]

    def compose(self) -> ComposeResult:
        yield Markdown(f"## {self.section.title}", parser_factory=parser)
        for block in self.section.blocks:
            yield from self._block(block)

    def _block(self, block: Any) -> Iterator[Widget]:
        match block:
            case Text(markdown):
                render = (lambda tex: f"`${tex}$`") if self.source else (lambda tex: f"`{inline(tex)}`")
                yield Markdown(lessons.inline_math(markdown, render), parser_factory=parser, open_links=False)
            case Formula(tex):
                rows = [f"$$ {tex} $$"] if self.source else drawn(tex)
                yield Static("\n".join(rows), markup=False, classes="formula")
            case Code(language, text):
                yield Static(self._syntax(text, language), classes="code")
            case _ if block.kind == "lab":
                yield Experiment(block.body, self.lesson)
            case _ if block.kind == "kernel":
                yield self._kernel(block.argument)
            case _ if block.kind in exercises.KINDS:
                yield TaskCard(self.lesson, block.id, block.kind)
            case _:
                yield from self._asked(block)

    def _asked(self, block: lessons.Widget) -> Iterator[Widget]:
        content = block.body
        if questions.is_quiz(content):
            yield QuizCard(self.lesson.id, content)
        elif questions.is_prediction(content):
            yield PredictCard(self.lesson, content)
        elif isinstance(content, questions.Deck):
            yield ReviewCard(content.title, len(content.cards))

    def _syntax(self, text: str, language: str = "python") -> Syntax:
        return Syntax(text, language or "text", theme=code_theme(self.app.ink), word_wrap=True)

    def _kernel(self, reference: str) -> Static:
        """A function's source as it is on disk now; it cannot drift from what runs."""
        try:
            quote = lessons.quote(reference, self.lesson.folder)
        except DltutorError as error:
            return Static(str(error), markup=False, classes="kernel")
        box = Static(self._syntax(quote.source), classes="kernel")
        box.border_title = quote.name
        box.border_subtitle = f"{quote.path}:{quote.first_line}"
        return box

    # ------------------------------------------------------------ questions and tasks

    def next_question(self) -> bool:
        """Focus the next quiz or prediction, one not yet answered where no question has the focus; False: none."""
        cards = list(self.query(Question))
        focused = [n for n, card in enumerate(cards) if card.has_focus]
        if focused:
            cards[(focused[0] + 1) % len(cards)].focus()
        elif cards:
            next((card for card in cards if card.is_open), cards[0]).focus()
        return bool(cards)

    def tasks(self) -> list[str]:
        """The exercises and hunts of this section."""
        return exercises.of_section(self.section.widgets())

    def renew_cards(self) -> None:
        """Say what became of predictions and tasks since the page was turned."""
        for prediction in self.query(PredictCard):
            prediction.restore()
        for task in self.query(TaskCard):
            task.renew()

    def watch_scroll_y(self, before: float, now: float) -> None:
        super().watch_scroll_y(before, now)
        self.post_message(self.Scrolled())

    def on_focus(self) -> None:
        for prediction in self.query(PredictCard):
            prediction.show_news()

    def on_predict_card_run(self, message: PredictCard.Run) -> None:
        message.stop()
        bodies = [widget.body for widget in self.lesson.widgets() if widget.kind == "lab" and widget.id == message.lab]
        for body in bodies:
            self.post_message(Experiment.Chosen(body))

    def action_read_on(self) -> None:
        self.focus(scroll_visible=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "read_on" or isinstance(self.screen.focused, Card)

    # ------------------------------------------------------------ turning the page

    async def show(self, lesson: Lesson, section: int, scroll: float = 0.0) -> None:
        """Turn to `section`."""
        focused = self.focused_card() if section == self.index else None
        self.lesson, self.index = lesson, section
        await self.recompose()
        if focused is not None:
            self.query(Card)[focused].focus(scroll_visible=False)
        self.call_after_refresh(self.scroll_to, y=scroll, animate=False)

    def focused_card(self) -> int | None:
        """The place of the card that has the focus."""
        return next((n for n, card in enumerate(self.query(Card)) if card.has_focus), None)

    async def toggle_source(self) -> None:
        self.source = not self.source
        await self.show(self.lesson, self.index, self.scroll_y)
