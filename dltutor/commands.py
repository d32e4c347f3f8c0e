"""What `dltutor` can be told to do. Each command imports what it needs when it is called: `--help` stays quick."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dltutor import __version__, i18n
from dltutor.errors import DltutorError, UsageError
from dltutor.examples import examples
from dltutor.i18n import _

if TYPE_CHECKING:
    from dltutor.progress import Progress

DEVICES = click.Choice(["cpu", "cuda", "emulate"])
COLOURS = click.Choice(["auto", "true", "256", "16", "mono"])
GLYPHS = click.Choice(["auto", "braille", "block", "ascii"])
FILE = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., object])


class Commands(click.Group):
    """The commands; `serve`, and `bench` where it is installed, are imported only when they are called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = importlib.util.find_spec("dltutor.bench") is not None
        return [*self.commands, "serve", *(["bench"] if found else [])]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name == "bench" and name in self.list_commands(ctx):
            from dltutor.bench import bench

            return bench
        if name == "serve":
            from dltutor.watching import serve

            return serve
        return super().get_command(ctx, name)


_START = examples(
    ("dltutor launch", _("the course, from where you left it")),
    ("dltutor launch 06-mlp --lang zh", _("one lesson, in Chinese")),
    ("dltutor run 06-mlp --set lr=0.1 --seed 7", _("its training run, without the application")),
    ("dltutor doctor", _("what to do when something does not work")),
)  # fmt: skip


@click.group(
    cls=Commands,
    invoke_without_command=True,
    help=_("Learn deep learning from the inside: lessons, live training, and the kernels that do it."),
    epilog=_START,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="dltutor")
@click.pass_context
def dltutor(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def learner() -> Progress:
    """The learner's progress, in whose language everything is said from now on."""
    from dltutor.progress import Progress

    progress = Progress.open()
    if not os.environ.get("DLTUTOR_LANG"):
        i18n.use(progress.preference("language", i18n.preferred()))
    return progress


def joined(lesson: str) -> str:
    """`lesson`; where that is a path to the folder of one, its id, and the folder joins the course for this process."""
    folder = Path(lesson).expanduser()
    if os.sep not in lesson or not (folder / "lesson.md").is_file():
        return lesson
    folder = folder.resolve()
    own = os.environ.get("DLTUTOR_LESSONS", "")
    os.environ["DLTUTOR_LESSONS"] = os.pathsep.join(filter(None, [own, str(folder)]))  # its engine reads that, too
    from dltutor.lesson.course import catalogue

    known = catalogue(i18n.current()).entry(folder.name)
    if known and known.folder != folder:
        message = _("{folder} has the id of another lesson, {other}").format(folder=folder, other=known.folder)
        raise UsageError(message, _("Give the folder, and the id in its lesson.md, another name."))
    return folder.name


# ---------------------------------------------------------------- the application


def _sets(variable: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    """What an option says goes where all processes look for it."""

    def put(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value:
            os.environ[variable] = value

    return put


def how_to_draw(command: Command) -> Command:
    """The options that know the terminal better than we do."""
    for name, values, words in (
        ("glyphs", GLYPHS, _("What plots are drawn in; auto: the finest that the terminal is known to have.")),
        ("colors", COLOURS, _("How many colours; auto: as many as the terminal is known to have.")),
    ):
        callback = _sets(f"DLTUTOR_{name.upper()}")
        command = click.option(f"--{name}", type=values, expose_value=False, callback=callback, help=words)(command)
    return command


@dltutor.command(
    help=_("Open the application. It shows the course, its lessons, and their live labs."),
    epilog=examples(
        ("dltutor launch", _("the course")),
        ("dltutor launch mlp", _("the lesson whose name has “mlp” in it")),
        ("dltutor launch --play mlp.jsonl", _("a run that `dltutor run --record` kept")),
    ),
)  # fmt: skip
@click.argument("lesson", default="")
@click.option("--lang", type=click.Choice(list(i18n.LANGUAGES)), help=_("The language of this sitting."))
@click.option("--theme", type=click.Choice(["dark", "light"]), help=_("Dark or light."))
@click.option("--play", type=FILE, metavar="FILE", help=_("Play a recording in place of a training run."))
@click.option("--device", type=DEVICES, default="cpu", show_default=True, help=_("What the kernels run on."))
@how_to_draw
def launch(lesson: str, lang: str | None, theme: str | None, play: Path | None, device: str) -> int:
    from dltutor import sitting

    sitting.check_terminal()
    with learner() as progress:
        i18n.use(lang or i18n.current())
        return sitting.sit(progress, joined(lesson), theme, play, device)


# ---------------------------------------------------------------- the course


@dltutor.command("list", help=_("List the lessons. Each with its time, and how far you are in it."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON array."))
def list_lessons(as_json: bool) -> None:
    from dltutor.listing import as_rows, as_text

    with learner() as progress:
        click.echo(as_rows(progress) if as_json else as_text(progress))


@dltutor.command(
    help=_("Train without the application. The lab of LESSON with the same kernels and the same numbers, to the bit."),
    epilog=examples(
        ("dltutor run 06-mlp", _("a live plot in a terminal, lines in a pipe")),
        ("dltutor run 06-mlp --set data=moons --set lr=0.3", _("with other values of its knobs")),
        ("dltutor run 06-mlp --jsonl | jq .loss", _("every number of every step")),
        ("dltutor run 06-mlp --record mlp.jsonl", _("to play with `dltutor launch --play`")),
    ),
)  # fmt: skip
@click.argument("lesson")
@click.option(
    "--steps", type=click.IntRange(1, 10**9), metavar="N", help=_("How many steps; the lesson's own number otherwise.")
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    metavar="S",
    help=_("Same seed, same numbers."),
)
@click.option("--set", "knobs", multiple=True, metavar="KNOB=VALUE", help=_("Turn a knob; as often as you like."))
@click.option("--device", type=DEVICES, default="cpu", show_default=True, help=_("What the kernels run on."))
@click.option("--jsonl", is_flag=True, help=_("The setting, every step and a summary, a JSON object a line."))
@click.option("--plot", is_flag=True, help=_("Draw the pictures even where the output is no terminal."))
@click.option("--record", type=FILE, metavar="FILE", help=_("Keep what the engine says, to play it again."))
@how_to_draw
def run(
    lesson: str, steps: int | None, seed: int, knobs: tuple[str, ...], device: str,
    jsonl: bool, plot: bool, record: Path | None,
) -> int:  # fmt: skip
    if jsonl and plot:
        raise UsageError(_("--jsonl and --plot exclude each other"), _("Give one of them."))
    from dltutor import headless
    from dltutor.ui.plots.look import look_of

    with learner() as progress:
        os.environ["DLTUTOR_GLYPHS"] = look_of(recall=progress.preference).glyphs
        chosen = headless.choose(joined(lesson), steps, seed, dict(map(_knob, knobs)), device)
        return headless.run(chosen, progress, "jsonl" if jsonl else "plot" if plot else "", record)


def _knob(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(_("--set {text}: expected KNOB=VALUE").format(text=text), _("For example --set lr=0.1"))
    return name.strip(), value.strip()


@dltutor.command(help=_("Compile kernels ahead of time. Those of LESSON, or of all lessons."))
@click.argument("lesson", default="")
@click.option("--device", type=DEVICES, default="cpu", show_default=True, help=_("What the kernels run on."))
def warm(lesson: str, device: str) -> int:
    from dltutor import headless

    learner().close()
    return headless.warm(joined(lesson), device)


@dltutor.command(
    help=_("List the kernels. Each operation with its formula, the lessons that use it, and the checks it passes."),
    epilog=examples(
        ("dltutor kernels", _("all operations")),
        ("dltutor kernels dense", _("everything about one")),
        ("dltutor kernels dense --check", _("prove it here: reference, gradients, bad numbers")),
    ),
)  # fmt: skip
@click.argument("name", default="")
@click.option("--check", is_flag=True, help=_("Run the checks, on this machine, now."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON array."))
def kernels(name: str, check: bool, as_json: bool) -> int:
    learner().close()
    from dltutor import compiled

    compiled.prepare_folder(lambda notice: click.echo(notice, err=True, nl=False))
    from dltutor.proof import survey

    found = survey.operations(name)
    passed = not check or survey.prove(found, quiet=as_json)
    outcomes = survey.kept()
    if as_json:
        click.echo(survey.as_json(found, outcomes))
    else:
        click.echo(survey.as_page(found[0], outcomes) if name else survey.as_list(found, outcomes))
    return 0 if passed else 1


@dltutor.command(help=_("Find what is wrong, and what mends it. Looks at everything that dltutor needs."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object."))
def doctor(as_json: bool) -> int:
    from dltutor import doctor as examination

    learner().close()
    return examination.report(as_json)


# ---------------------------------------------------------------- exercises


@dltutor.command(
    help=_("Check what you have written. Your file of EXERCISE, once; without a name, all exercises are listed."),
    epilog=examples(
        ("dltutor check", _("all exercises, and how far you are")),
        ("dltutor check 01/mse-backward", _("the verdict on what you have written")),
    ),
)  # fmt: skip
@click.argument("exercise", default="")
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object, or an array of all."))
def check(exercise: str, as_json: bool) -> int:
    from dltutor import practice

    with learner() as progress:
        return practice.check(progress, exercise, as_json)


@dltutor.command(help=_("Check your file each time you save it. That of EXERCISE, else the first not yet passed."))
@click.argument("exercise", default="")
def watch(exercise: str) -> int:
    from dltutor import practice

    with learner() as progress:
        return practice.watch(progress, exercise)


# ---------------------------------------------------------------- authors


@dltutor.group(help=_("For authors of lessons."))
def author() -> None:
    pass


@author.command(
    "check",
    help=_("Prove that lessons keep their promises. Starts fail, solutions pass, wrong answers fail for their reason."),
)
@click.argument("lessons", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object a line."))
def author_check(lessons: tuple[str, ...], as_json: bool) -> int:
    from dltutor import author as examiner

    learner().close()
    return examiner.check(tuple(map(joined, lessons)), as_json)


@dltutor.command(
    help=_("Answer the cards that are due. In the application; in a pipe they are listed."),
    epilog=examples(
        ("dltutor review", _("one card at a time")),
        ("dltutor review --list", _("what is due, and when the next ones come")),
    ),
)  # fmt: skip
@click.option("--list", "as_list", is_flag=True, help=_("List them, without the application."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON array."))
def review(as_list: bool, as_json: bool) -> int:
    with learner() as progress:
        if as_list or as_json or not sys.stdout.isatty():
            from dltutor.listing import due_as_rows, due_as_text

            click.echo(due_as_rows(progress) if as_json else due_as_text(progress))
            return 0
        from dltutor import sitting

        sitting.check_terminal()
        return sitting.sit(progress, "", None, None, "cpu", review=True)


# ---------------------------------------------------------------- progress


@dltutor.group(help=_("Show, export, import or reset what you have done."))
def progress() -> None:
    pass


@progress.command("show", help=_("Show how far you are. Each lesson, and your latest runs."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object."))
def show_progress(as_json: bool) -> None:
    from dltutor.listing import progress_as_json, progress_as_text

    with learner() as progress:
        click.echo(progress_as_json(progress) if as_json else progress_as_text(progress))


@progress.command("export", help=_("Write all of it as JSON. To FILE, or to the output."))
@click.argument("file", type=FILE, required=False)
def export_progress(file: Path | None) -> None:
    with learner() as progress:
        text = progress.export_json()
        if file is None or str(file) == "-":
            click.echo(text)
            return
        _write(file, text + "\n")
        click.echo(_("Your progress is in {file}.").format(file=file))


def _write(file: Path, text: str) -> None:
    from dltutor.whole import write_whole

    try:
        write_whole(file, text)
    except OSError as error:
        message = _("cannot write {file}: {error}").format(file=file, error=error.strerror)
        raise DltutorError(message, _("Name a file in a folder that you can write to.")) from error


@progress.command("import", help=_("Add what an export holds. Nothing that is here is lost."))
@click.argument("file", type=FILE)
def import_progress(file: Path) -> None:
    with learner() as progress:
        _must_be_kept(progress)
        count = progress.import_json(_read(file))
        click.echo(i18n.plural("{n} entry is new.", "{n} entries are new.", count))


def _read(file: Path) -> str:
    try:
        return sys.stdin.buffer.read().decode() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else _("this is no text")
        message = _("cannot read {file}: {error}").format(file=file, error=reason)
        raise DltutorError(message, _("Give a file that `dltutor progress export` wrote.")) from error


@progress.command("reset", help=_("Forget what you did. In LESSON, or in all lessons."))
@click.argument("lesson", default="")
@click.option("--yes", is_flag=True, help=_("Do not ask."))
def reset_progress(lesson: str, yes: bool) -> int:
    with learner() as progress:
        _must_be_kept(progress)
        name = _known(lesson) if lesson else ""
        what = _("what you did in {lesson}").format(lesson=name) if name else _("all of your progress")
        if not (yes or _agreed(_("Forget {what}?").format(what=what))):
            click.echo(_("Nothing is changed."))
            return 1
        progress.reset(name or None)
        click.echo(_("Forgotten: {what}.").format(what=what))
        return 0


def _known(lesson: str) -> str:
    from dltutor.lesson.course import catalogue

    return catalogue(i18n.current()).find(lesson).id


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(_("there is nobody to ask: {question}").format(question=question), _("Add --yes."))
    return click.confirm(question)


def _must_be_kept(progress: Progress) -> None:
    """Refuse to change what would be lost at once."""
    if progress.in_memory:
        raise DltutorError(_("your progress cannot be changed"), progress.notice)
