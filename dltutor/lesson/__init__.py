"""A lesson: a folder with `lesson.md` (front matter and text), `lesson.zh.md`, and `lab.py`.

Anything malformed is a DltutorError that names file, line, and what was expected. Nothing of a lesson is imported.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.lesson import knobs as knob_values
from dltutor.lesson.blocks import WIDGETS, Block, Code, Formula, Section, Text, Widget, inline_math
from dltutor.lesson.knobs import Knob, Value
from dltutor.lesson.quotes import Quote, quote
from dltutor.lesson.source import Missing, Source
from dltutor.lesson.yaml_lines import Fields, Map, close, fault, located

__all__ = [
    "WIDGETS",
    "Block",
    "Code",
    "Formula",
    "Heading",
    "Knob",
    "Lesson",
    "PanelSpec",
    "Quote",
    "Section",
    "Text",
    "Widget",
    "compare",
    "experiment",
    "inline_math",
    "load",
    "load_front_matter",
    "quote",
]

PARTS = 6


@dataclass(frozen=True)
class PanelSpec:
    """One live picture: it arrives in frames under its name, or is drawn from the metrics named in `curves`."""

    name: str
    title: str
    curves: tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What the front matter says: all that a list of lessons, and a run without the application, need."""

    id: str
    title: str
    part: int
    minutes: int
    requires: list[str]
    question: str
    steps: int
    """Default length of a run."""
    pace: float
    """Default steps a second in the application; 0: as fast as it goes."""
    knobs: dict[str, Knob]
    pictures: list[PanelSpec]
    metrics: dict[str, str]
    """Display names of metrics, where the lesson gives one."""
    words: dict[str, str]
    """What the lab calls things in its pictures (classes, axes, lines) -> what the learner reads."""
    kernels: list[str]
    outline: dict[str, str]
    """Section id -> title, in order."""
    folder: Path
    has_lab: bool
    language: str = "en"
    """The language it is in, not always the one asked for: see `notice`."""
    notice: str = ""
    """Why it is not in the language asked for."""

    def setting(self, overrides: Mapping[str, Any] | None = None) -> dict[str, Value]:
        """The values of all knobs, `overrides` (values, or texts to parse) over the defaults. Raises UsageError."""
        return knob_values.setting(self.knobs, overrides or {})

    def restored(self, stored: Mapping[str, Any]) -> dict[str, Value]:
        """The values of all knobs, with as much of a `stored` setting as this lesson still allows."""
        return knob_values.restored(self.knobs, stored)

    @property
    def section_ids(self) -> tuple[str, ...]:
        return tuple(self.outline)

    def metric(self, name: str) -> str:
        """The display name of a metric."""
        return self.metrics.get(name, name.replace("_", " "))

    def word(self, text: str) -> str:
        """What a lab's word for something in a picture reads like; "shirt (coat)" is made of two."""
        first, bracket, second = text.removesuffix(")").partition(" (")
        if bracket and text.endswith(")") and text not in self.words:
            return f"{self.word(first)} ({self.word(second)})"
        return self.words.get(text, text)


@dataclass(frozen=True, kw_only=True)
class Lesson(Heading):
    """A lesson, text and all."""

    sections: tuple[Section, ...] = field(default=())

    def section(self, id: str) -> Section | None:
        return next((section for section in self.sections if section.id == id), None)

    def widgets(self) -> list[Widget]:
        return [widget for section in self.sections for widget in section.widgets()]


# ---------------------------------------------------------------- loading


def load(folder: Path, language: str = "en", strict: bool = False) -> Lesson:
    """The lesson in `folder`, in `language` if it is there and sound, else in English with a `notice` that says why.

    `strict` makes an unsound translation (not a missing one) an error, as for the lesson's author.
    """
    english = _load_english(folder)
    try:
        return english if language == "en" else _translated(english, folder / f"lesson.{language}.md", language)
    except Missing as missing:
        return replace(english, notice=str(missing))
    except DltutorError as error:
        if strict:
            raise
        return replace(english, notice=str(error))


def load_front_matter(folder: Path, language: str = "en") -> Heading:
    """The lesson's heading, without reading its text: what a list of lessons shows."""
    source = Source(folder / "lesson.md")
    english = _heading(source, folder)
    if language == "en":
        return english
    try:
        return _translate(english, Source(folder / f"lesson.{language}.md"), language)
    except DltutorError as error:
        return replace(english, notice=str(error))


def compare(english: Lesson, other: Lesson) -> list[str]:
    """Where the structure of a translation departs from the English one; empty: nowhere."""
    ids, others = [section.id for section in english.sections], [section.id for section in other.sections]
    if ids != others:
        return [_("the sections are {others}, in English {ids}").format(others=", ".join(others), ids=", ".join(ids))]
    return [
        _("section {id}: the widgets are {others}, in English {widgets}").format(
            id=one.id, others=_outline(two), widgets=_outline(one)
        )
        for one, two in zip(english.sections, other.sections, strict=True)
        if _outline(one) != _outline(two)
    ]


def _outline(section: Section) -> str:
    return ", ".join(f"{widget.kind} {widget.id} {widget.argument}".rstrip() for widget in section.widgets()) or "-"


def _load_english(folder: Path) -> Lesson:
    source = Source(folder / "lesson.md")
    heading = _heading(source, folder)
    _quotes_resolve(heading, source.front_matter())
    sections = tuple(_sound(section, heading, source.file) for section in source.sections())
    lesson = Lesson(**(vars(heading) | {"sections": sections}))
    _predictions_resolve(lesson, source.file)
    return lesson


# ---------------------------------------------------------------- front matter


def _heading(source: Source, folder: Path) -> Heading:
    fields = source.front_matter()
    heading = Heading(
        id=_lesson_id(fields, folder),
        title=fields.text("title"),
        part=fields.integer("part", 1, PARTS),
        minutes=fields.integer("minutes", 1, 1000),
        requires=fields.texts("requires", []),
        question=fields.text("question"),
        steps=fields.integer("steps", 1, 10**9, 300),
        pace=fields.number("pace", 0, 30.0),
        knobs=_knobs(fields),
        pictures=_pictures(fields),
        metrics=_metrics(fields),
        words=_words(fields),
        kernels=fields.texts("kernels", []),
        outline=source.outline(),
        folder=folder,
        has_lab=(folder / "lab.py").is_file(),
    )
    fields.end()
    return heading


def _lesson_id(fields: Fields, folder: Path) -> str:
    id, name = fields.id(), folder.resolve().name
    if id != name:
        raise fields.fault("id", _("the folder's name, {name}").format(name=name))
    return id


def _metrics(fields: Fields) -> dict[str, str]:
    labels = Fields(fields.map("metrics"), fields.file)
    return {_identifier(labels, name): labels.text(name) for name in labels.mapping}


def _words(fields: Fields) -> dict[str, str]:
    words = Fields(fields.map("words"), fields.file)
    return {str(name): words.text(name) for name in words.mapping}


def _identifier(fields: Fields, name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        problem = _("{name} is no name for Python: expected letters, digits and underscores").format(name=name)
        raise fault(fields.file, fields.line(name), problem)
    return name


def _pictures(fields: Fields) -> list[PanelSpec]:
    pictures = Fields(fields.map("pictures"), fields.file)
    return [_picture(pictures, _identifier(pictures, name)) for name in pictures.mapping]


def _picture(pictures: Fields, name: str) -> PanelSpec:
    if isinstance(pictures.mapping[name], str):
        return PanelSpec(name, pictures.text(name))
    expected = _("a title, or `title` with `curves`")
    fields = Fields(pictures.value(name, (Map,), expected), pictures.file)
    panel = PanelSpec(name, fields.text("title"), tuple(fields.texts("curves", [])), fields.flag("log"))
    fields.end()
    return panel


def _knobs(fields: Fields) -> dict[str, Knob]:
    specs = Fields(fields.map("knobs"), fields.file)
    return {name: _knob(specs, _identifier(specs, name)) for name in specs.mapping}


def _knob(specs: Fields, name: str) -> Knob:
    fields = Fields(specs.value(name, (Map,), _("`label`, `default`, and `range` or `choices`")), specs.file)
    default = fields.value("default", (int, float, str, bool), _("a number, a word, true or false"))
    label, live = fields.text("label"), fields.flag("live")
    if fields.has("choices"):
        knob = Knob(name, label, default, "choice", choices=_choices(fields), live=live)
    elif isinstance(default, bool):
        knob = Knob(name, label, default, "bool", live=live)
    elif isinstance(default, str):
        raise fields.fault("choices", _("the values that {name} can have").format(name=name))
    else:
        kind = "int" if isinstance(default, int) else "float"
        low, high = _range(fields, kind)
        knob = Knob(name, label, default, kind, (low, high), _scale(fields, low), live=live)
    fields.end()
    try:
        knob.check(default)
    except UsageError as error:
        raise fields.fault("default", knob.allowed()) from error
    return knob


def _choices(fields: Fields) -> dict[Any, str]:
    expected = _("a list of words or numbers, or `value: label` pairs")
    choices = fields.value("choices", (list, Map), expected)
    named = choices if isinstance(choices, Map) else {_hashable(value): value for value in choices}
    if not named or not all(_plain(value) and _plain(label) for value, label in named.items()):
        raise fields.fault("choices", expected)
    if len(named) != len(choices):
        raise fields.fault("choices", _("each value once"))
    return {value: str(label) for value, label in named.items()}


def _hashable(value: Any) -> Any:
    return value if _plain(value) else None


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float, str))


def _range(fields: Fields, kind: str) -> tuple[Any, Any]:
    numbers = (int,) if kind == "int" else (int, float)
    expected = _("[lowest, highest], whole numbers as the default is") if kind == "int" else _("[lowest, highest]")
    ends = fields.value("range", (list,), expected)
    if len(ends) != 2 or not all(isinstance(end, numbers) and not isinstance(end, bool) for end in ends):
        raise fields.fault("range", expected)
    low, high = ends
    if not (low < high and abs(low) < 1e300 and abs(high) < 1e300):
        raise fields.fault("range", _("the lower end first"))
    return low, high


def _scale(fields: Fields, low: float) -> str:
    scale = fields.text("scale", "linear")
    if scale not in ("linear", "log"):
        raise fields.fault("scale", _("linear or log"))
    if scale == "log" and low <= 0:
        raise fields.fault("range", _("a lowest value above 0, for a log scale"))
    return scale


def _quotes_resolve(heading: Heading, fields: Fields) -> None:
    for reference in heading.kernels:
        with located(fields.file, fields.line("kernels")):
            quote(reference, heading.folder)


# ---------------------------------------------------------------- widgets


def _sound(section: Section, heading: Heading, file: Path) -> Section:
    """`section` with its experiments and quotes checked against the lesson."""
    return replace(section, blocks=tuple(_checked(block, heading, file) for block in section.blocks))


def _checked(block: Block, heading: Heading, file: Path) -> Block:
    if not isinstance(block, Widget):
        return block
    with located(file, block.line):
        match block.kind:
            case "lab":
                return replace(block, body=_experiment(block, heading, file))
            case "quiz" | "predict" | "review" if isinstance(block.body, Map):
                from dltutor.lesson import fences  # takes its time to import, and a list of lessons does without

                return replace(block, body=fences.parse(block, file))
            case "kernel":
                quote(block.argument, heading.folder)
    return block


def _experiment(widget: Widget, heading: Heading, file: Path) -> dict[str, Any]:
    """The body of a `lab` fence: label, set, seed, show, steps; only what is there, values as the knobs have them."""
    if not heading.has_lab:
        problem = _("this `lab` has nothing to run: there is no {file}").format(file=heading.folder / "lab.py")
        raise fault(file, widget.line, problem, _("Write lab.py, or take the fence out."))
    body = widget.body if isinstance(widget.body, Map) else Map(widget.line)
    fields = Fields(body, file)
    found = {"label": fields.text("label"), "id": fields.text("id", "-"), **experiment(fields, heading)}
    fields.end()
    return {key: value for key, value in found.items() if fields.has(key)}


def experiment(fields: Fields, heading: Heading) -> dict[str, Any]:
    """How the lab is set: set, seed, show, steps; only what is there, values as the knobs have them."""
    found = {
        "set": _override(fields, heading),
        "seed": fields.integer("seed", 0, 2**63 - 1, 0),
        "show": _shown(fields, heading),
        "steps": fields.integer("steps", 1, 10**9, heading.steps),
    }
    return {key: value for key, value in found.items() if fields.has(key)}


def _override(fields: Fields, heading: Heading) -> dict[str, Value]:
    overrides = fields.map("set")
    for name, value in overrides.items():
        with located(fields.file, overrides.lines[name]):
            heading.setting({name: value})
    setting = heading.setting(overrides)
    return {name: setting[name] for name in overrides}


def _shown(fields: Fields, heading: Heading) -> list[str]:
    names, shown = [picture.name for picture in heading.pictures], fields.texts("show", [])
    for name in shown:
        if name not in names:
            problem = _("there is no picture {name}").format(name=name)
            raise fault(fields.file, fields.line("show"), problem, close(name, names))
    return shown


def _predictions_resolve(lesson: Lesson, file: Path) -> None:
    """Each names an experiment of this lesson, and a metric that it draws."""
    from dltutor.lesson import questions

    labs = [widget.id for widget in lesson.widgets() if widget.kind == "lab"]
    metrics = [*lesson.metrics, *(name for picture in lesson.pictures for name in picture.curves)]
    for widget in lesson.widgets():
        if questions.is_prediction(widget.body) and widget.body.lab:
            _resolves(widget, _("{id}: there is no experiment {name}"), widget.body.lab, labs, file)
            _resolves(widget, _("{id}: there is no metric {name}"), widget.body.metric, [*metrics, ""], file)


def _resolves(widget: Widget, problem: str, name: str, names: list[str], file: Path) -> None:
    if name not in names:
        raise fault(file, widget.line, problem.format(id=widget.id, name=name), close(name, names))


# ---------------------------------------------------------------- translation


def _translated(english: Lesson, file: Path, language: str) -> Lesson:
    source = Source(file)
    heading = _translate(english, source, language)
    lesson = replace(english, **vars(heading) | {"sections": source.sections()})
    differences = compare(english, lesson)
    if differences:
        raise fault(file, source.body_at + 1, "; ".join(differences))
    originals = {widget.id: widget for widget in english.widgets()}
    sections = (_inherited(section, originals, file) for section in lesson.sections)
    lesson = replace(lesson, sections=tuple(_sound(section, heading, file) for section in sections))
    _same_experiments(lesson, originals, file)
    return lesson


def _inherited(section: Section, originals: Mapping[str, Widget], file: Path) -> Section:
    """`section` with what its fences leave out taken from English: a translation need give only their texts."""
    return replace(section, blocks=tuple(_filled(block, originals, file) for block in section.blocks))


def _filled(block: Block, originals: Mapping[str, Widget], file: Path) -> Block:
    if not isinstance(block, Widget) or not isinstance(block.body, Map):
        return block
    from dltutor.lesson import fences, questions

    original = originals[block.id].body
    if isinstance(original, questions.Content):
        return replace(block, body=fences.translated(original, block, file))
    if block.kind != "lab":
        return block
    for key, value in original.items():
        if key != "label" and key not in block.body:
            block.body[key] = _as_map(value, block.line)
    return block


def _as_map(value: Any, line: int) -> Any:
    if not isinstance(value, dict):
        return value
    mapping = Map(line)
    mapping.update(value)
    mapping.lines.update(dict.fromkeys(value, line))
    return mapping


def _same_experiments(lesson: Lesson, originals: Mapping[str, Widget], file: Path) -> None:
    for widget in lesson.widgets():
        original = originals[widget.id]
        if widget.kind == "lab" and {**widget.body, "label": ""} != {**original.body, "label": ""}:
            raise fault(file, widget.line, _("{id} does not run what it runs in English").format(id=widget.id))


def _translate(english: Heading, source: Source, language: str) -> Heading:
    """`english` with what the front matter of a translation replaces."""
    fields = source.front_matter()
    if fields.has("id") and fields.text("id") != english.id:
        raise fields.fault("id", english.id)
    heading: dict[str, Any] = {
        "title": fields.text("title", english.title),
        "question": fields.text("question", english.question),
        "knobs": _translate_knobs(english.knobs, Fields(fields.map("knobs"), source.file)),
        "pictures": _translate_pictures(english.pictures, Fields(fields.map("pictures"), source.file)),
        "metrics": english.metrics | _metrics(fields),
        "words": english.words | _words(fields),
        "outline": source.outline(),
        "language": language,
    }
    fields.end()
    return replace(english, **heading)


def _translate_knobs(knobs: Mapping[str, Knob], names: Fields) -> dict[str, Knob]:
    _known(names, knobs)
    return {name: _translate_knob(knob, names) if names.has(name) else knob for name, knob in knobs.items()}


def _translate_knob(knob: Knob, names: Fields) -> Knob:
    expected = _("`label`, and `choices` with a label for each value")
    fields = Fields(names.value(knob.name, (Map,), expected), names.file)
    label, choices = fields.text("label", knob.label), Fields(fields.map("choices"), names.file)
    _known(choices, knob.choices)
    fields.end()
    labels = {value: choices.text(value, old) for value, old in knob.choices.items()}
    return replace(knob, label=label, choices=labels)


def _translate_pictures(pictures: list[PanelSpec], names: Fields) -> list[PanelSpec]:
    _known(names, {picture.name: picture for picture in pictures})
    return [
        replace(picture, title=_picture(names, picture.name).title) if names.has(picture.name) else picture
        for picture in pictures
    ]


def _known(names: Fields, known: Mapping[Any, Any]) -> None:
    """Refuse what English does not have."""
    for name in names.mapping:
        if name not in known:
            problem = _("{name} is not in the English lesson").format(name=name)
            raise fault(names.file, names.line(name), problem, close(name, known))
