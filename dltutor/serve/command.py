"""`dltutor serve`: what a teacher can tell it. `watch`, which shows a screen, is in dltutor/watching.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dltutor.errors import DltutorError, UsageError
from dltutor.examples import examples
from dltutor.i18n import _, plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from dltutor.serve.desk import Visitor
    from dltutor.serve.settings import Settings

FILE = click.Path(path_type=Path)
_START = examples(
    ("dltutor serve --roster keys.txt", _("for whoever has one of these keys")),
    ("dltutor serve --class-code maple", _("for whoever knows the code")),
    ("dltutor serve watch", _("who is here, and who is stuck")),
    ("dltutor serve stop --in 60", _("tell everybody, then end")),
)


@click.group(
    invoke_without_command=True,
    help=_("Open a class over SSH. Learners type `ssh -p 2222 HOST` and are in the course."),
    epilog=_START,
)
@click.option("--host", default="", metavar="ADDRESS", help=_("Listen on this address alone; on all otherwise."))
@click.option("--port", type=click.IntRange(0, 65535), default=2222, show_default=True, help=_("0 takes a free one."))
@click.option("--state", type=FILE, metavar="DIR", help=_("Where the host key and everybody's progress are kept."))
@click.option("--roster", type=FILE, metavar="FILE", help=_("Let the keys in this authorized_keys file in."))
@click.option("--class-code", envvar="DLTUTOR_CLASS_CODE", default="", help=_("Let whoever knows this code in."))
@click.option("--open", "open_", is_flag=True, help=_("Let everybody in."))
@click.option("--web", type=click.IntRange(0, 65535), metavar="PORT", help=_("Serve browsers, too, on this port."))
@click.option(
    "--web-host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help=_("Where to listen for browsers.")
)
@click.option(
    "--max-sessions",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help=_("At most so many learners at once."),
)
@click.option(
    "--idle", type=click.FloatRange(1, 1440), default=30, show_default=True, metavar="MINUTES",
    help=_("Close a session when nothing is typed for so long."),
)  # fmt: skip
@click.option("--log", type=FILE, metavar="FILE", help=_("Write what happens to this file, a JSON object a line."))
@click.option("--unit", is_flag=True, help=_("Print a systemd unit for these options, with advice; start nothing."))
@click.pass_context
def serve(context: click.Context, **options: Any) -> int:
    if context.invoked_subcommand:
        return 0
    log, unit = options.pop("log"), options.pop("unit")
    if unit:
        from dltutor.serve.unit import STATE, advice, unit_of

        settings = _settings(**options | {"state": options["state"] or STATE})
        click.echo(unit_of(settings, log))
        click.echo(advice(settings), err=True)
        return 0
    from dltutor.serve.opening import keep_open

    return keep_open(_settings(**options), log)


def _settings(
    state: Path | None, roster: Path | None, class_code: str, open_: bool, idle: float, **others: Any
) -> Settings:
    from dltutor.serve.settings import Settings

    ways = [name for name, given in (("--roster", roster), ("--class-code", class_code), ("--open", open_)) if given]
    if len(ways) > 1:
        message = _("{ways} exclude each other").format(ways=" ".join(ways))
        raise UsageError(message, _("Give one of them."))
    return Settings(
        state=_folder(state), roster=roster and roster.absolute(), class_code=class_code, open=open_,
        idle_minutes=idle, **others,
    )  # fmt: skip


def _folder(state: Path | None) -> Path:
    from dltutor.progress import home
    from dltutor.serve.opening import STATE

    return state.expanduser().absolute() if state else home() / STATE


# ---------------------------------------------------------------- to a server that runs


def of_a_class(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--state`, which may also stand before its name."""
    help = _("The state folder of the server.")
    return click.option("--state", type=FILE, metavar="DIR", help=help)(command)


def folder_of(state: Path | None) -> Path:
    """The state folder that a command under `serve` means."""
    above = click.get_current_context().parent
    return _folder(state or (above.params.get("state") if above else None))


def _visit(state: Path | None) -> Visitor:
    from dltutor.serve.desk import Visitor

    return Visitor(folder_of(state))


@serve.command(help=_("Show who is here. Where they are, and how the machine does."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object."))
@of_a_class
def status(state: Path | None, as_json: bool) -> None:
    told = _visit(state).status()
    from dltutor.attendance import as_text

    click.echo(json.dumps(told, ensure_ascii=False) if as_json else as_text(told))


@serve.command(help=_("Say something to the class. It appears on everybody's screen at once."))
@click.argument("text", nargs=-1, required=True)
@click.option("--to", default="", metavar="NAME", help=_("Say it to this learner alone."))
@of_a_class
def say(state: Path | None, text: tuple[str, ...], to: str) -> None:
    desk = _visit(state)
    heard = desk.say(" ".join(text), to)
    if not heard:
        raise _unheard(to, desk.status())
    click.echo(plural("{n} session has heard it.", "{n} sessions have heard it.", heard))


def _unheard(to: str, told: dict[str, Any]) -> DltutorError:
    here = sorted({str(session["name"]) for session in told["sessions"]})
    if not to or not here:
        return DltutorError(_("nobody is here to hear it"))
    message = _("nobody who is here is called {name}").format(name=to)
    return DltutorError(message, _("Here are: {names}").format(names=", ".join(here)))


@serve.command(help=_("End the class. Learners are told, and everything is saved."))
@click.option(
    "--in", "seconds", type=click.FloatRange(0, 86400), default=10, show_default=True, metavar="SECONDS",
    help=_("How long learners have to finish."),
)  # fmt: skip
@of_a_class
def stop(state: Path | None, seconds: float) -> None:
    seconds = _visit(state).stop(seconds)
    click.echo(_("The class ends in {seconds:g} s. Everything is kept.").format(seconds=seconds))
