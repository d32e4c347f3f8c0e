"""`dltutor doctor`: what the tutor needs, what it found, and for each problem the line that mends it.

Whatever could hang or crash (Numba, a graphics driver) is asked in a child process.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dltutor import __version__, i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.ui.plots.look import AUTO, DEPTHS, GLYPHS, look_of

PACKAGES = ("numba", "numpy", "scikit-learn", "textual", "rich", "texicode", "pyyaml", "platformdirs")
CHILD_SECONDS = 60.0
LITTLE_SPACE = 50_000_000  # bytes


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    value: str
    problem: str = ""
    mend: str = ""
    """The one line that mends it."""
    stops: bool = False
    """Whether the tutor cannot work like this."""


def report(as_json: bool) -> int:
    """Print what was found; 0 where nothing stops the tutor, else 1."""
    found = examine()
    fine = not any(finding.stops for finding in found)
    if as_json:
        print(json.dumps({"ok": fine, "checks": [asdict(finding) for finding in found]}, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_as_text(found)))
    return 0 if fine else 1


def examine() -> list[Finding]:
    trip = round_trip()  # before there is other work
    with ThreadPoolExecutor() as pool:
        children = {name: pool.submit(ask, code) for name, code in QUESTIONS.items()}
        checks: tuple[Callable[[], Iterable[Finding]], ...] = (
            software, lambda: compiler(children["compiler"]), cache, progress_file,
            terminal, lambda: connection(trip), lambda: gpu(children["gpu"]), lambda: room(children["room"]),
            lambda: data_sets(children["data"]), lessons,
        )  # fmt: skip
        return [finding for check in checks for finding in check()]


def _as_text(found: list[Finding]) -> Iterator[str]:
    wide = max(len(finding.name) for finding in found)
    for finding in found:
        yield f"{finding.name:<{wide}}  {finding.value}"
        if finding.problem:
            yield f"{'!':>{wide}}  {finding.problem}"
        if finding.mend:
            yield f"{'':>{wide}}  {finding.mend}"
    yield ""
    yield from shapes()
    yield ""
    problems = sum(bool(finding.problem) for finding in found)
    counted = i18n.plural("{n} problem, see the line with !", "{n} problems, see the lines with !", problems)
    yield counted if problems else _("Everything is fine.")


def shapes() -> list[str]:
    """A test of the font: only the reader knows what arrives."""
    rows = {
        _("braille"): "⣀⣤⣶⣿⠿⠛⠉ ⡇⢸ ⠁⠂⠄",
        _("half blocks"): "▀▄█▌▐",
        _("eighth blocks"): "▁▂▃▄▅▆▇█",
        _("lines"): "─│┌┐└┘╭╮╰╯ ┼",
        _("marks"): "○◐● ◆ ✕ ▶ ■ →",
        _("Greek, Chinese"): "σ λ ∂ Σ √ · 学习 神经网络",
    }
    first = _("Which of these can you see?")
    last = _("If braille is missing: export DLTUTOR_GLYPHS=block. If blocks are, too: export DLTUTOR_GLYPHS=ascii")
    return [first, *(f"  {shape}   {name}" for name, shape in rows.items()), last]


# ---------------------------------------------------------------- what runs


def software() -> Iterator[Finding]:
    yield Finding("dltutor", f"{__version__}  {Path(__file__).parent}")
    yield Finding("python", f"{platform.python_version()}  {sys.executable}")
    yield Finding("platform", f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs")
    versions = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in versions.items() if not version]
    yield Finding(
        "packages",
        "  ".join(f"{name} {version}" for name, version in versions.items() if version),
        _("missing: {names}").format(names=", ".join(missing)) if missing else "",
        f"{sys.executable} -m pip install --upgrade dltutor" if missing else "",
        stops=bool(missing),
    )


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


QUESTIONS = {
    "compiler": """
import importlib, numba, llvmlite.binding
layers = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
def usable(name):
    try:
        return bool(importlib.import_module("numba.np.ufunc." + layers[name]))
    except ImportError:
        return False
asked = numba.config.THREADING_LAYER
names = [asked] if asked in layers else numba.config.THREADING_LAYER_PRIORITY
answer = {"numba": numba.__version__, "cpu": llvmlite.binding.get_host_cpu_name(),
          "threads": numba.config.NUMBA_NUM_THREADS, "layer": next(filter(usable, names), "")}
""",
    "gpu": """
import importlib.metadata as metadata
try:
    answer = {"package": metadata.version("numba-cuda")}
except metadata.PackageNotFoundError:
    answer = {"package": ""}
from numba import cuda
answer["found"] = bool(cuda.is_available())
if answer["found"]:
    device = cuda.get_current_device()
    name = device.name
    answer["name"] = name.decode() if isinstance(name, bytes) else str(name)
    answer["capability"] = ".".join(map(str, device.compute_capability))
""",
    "room": """
from dltutor import room
answer = room.report()
""",
    "data": """
import numpy
from dltutor import data, i18n
from dltutor.errors import DltutorError
for load in (data.diabetes, data.breast_cancer, data.digits):
    load(numpy.random.default_rng(0))
i18n.use(i18n.preferred())
try:
    answer = {"folder": str(data.fashion_folder())}
except DltutorError as error:
    answer = {"message": error.message, "hint": error.hint}
""",
}


def ask(code: str) -> dict[str, Any]:
    """`answer` after `code` has run in a child; {"error": its last words} where it did not get that far."""
    code += "\nimport json\nprint(json.dumps(answer))"
    environment = os.environ | {"DLTUTOR_LANG": i18n.current()}
    try:
        child = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=CHILD_SECONDS, env=environment
        )
        return json.loads(child.stdout.splitlines()[-1])  # type: ignore[no-any-return]
    except subprocess.TimeoutExpired:
        return {"error": _("no answer within {seconds:.0f} s").format(seconds=CHILD_SECONDS)}
    except (OSError, ValueError, IndexError) as error:
        said = child.stderr.strip().splitlines() if isinstance(error, IndexError) else []
        return {"error": said[-1] if said else str(error)}


def compiler(child: Future[dict[str, Any]]) -> Iterator[Finding]:
    told = child.result()
    if "error" in told:
        mend = f"{sys.executable} -m pip install --force-reinstall numba"
        yield Finding("numba", "", _("Numba does not load: {error}").format(error=told["error"]), mend, stops=True)
        return
    yield Finding("numba", _("{numba} for {cpu}, {threads} threads").format(**told))
    yield Finding("threading layer", told["layer"] or _("none: kernels run on one thread"))


# ---------------------------------------------------------------- what is kept


def cache() -> Iterator[Finding]:
    """Compiled kernels."""
    from dltutor.progress import home

    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or home() / "numba")
    sizes = [file.stat().st_size for file in folder.rglob("*.o")] if folder.is_dir() else []
    state = i18n.plural("{n} compiled kernel", "{n} compiled kernels", len(sizes)) + f", {sum(sizes) / 1e6:.1f} MB"
    hint = "" if sizes else _("dltutor warm   compiles them now rather than when a lesson is opened")
    problem = _unwritable(folder)
    mend = _("export DLTUTOR_HOME=FOLDER   with a folder that you can write to") if problem else hint
    yield Finding("kernel cache", f"{folder}  {state}", problem, mend)
    yield from _space(home())


def _unwritable(folder: Path) -> str:
    """Why nothing can be written into `folder`, or would be once it is made."""
    present = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if os.access(present, os.W_OK | os.X_OK) and present.is_dir():
        return ""
    return _("{folder} cannot be written to").format(folder=present)


def _space(folder: Path) -> Iterator[Finding]:
    present = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(present).free
    problem = _("the disk is full") if free < LITTLE_SPACE else ""
    mend = _("export DLTUTOR_HOME=FOLDER   with a folder on a disk with room") if problem else ""
    yield Finding("free space", f"{free / 1e9:.1f} GB", problem, mend)


def progress_file() -> Iterator[Finding]:
    from dltutor.progress import Progress

    try:
        with Progress.open() as progress:
            runs = i18n.plural("{n} run", "{n} runs", len(progress.runs()))
            elsewhere = _("export DLTUTOR_HOME=FOLDER   with a folder that you can write to")
            copy = _("dltutor progress import FILE   with an export, if you have one")
            mend = elsewhere if progress.in_memory else copy if progress.notice else ""
            yield Finding("progress", f"{progress.path}  {runs}", progress.notice, mend)
    except DltutorError as error:
        yield Finding("progress", "", error.message, error.hint)


# ---------------------------------------------------------------- where it is shown


def terminal() -> Iterator[Finding]:
    look, kind = look_of(recall=_kept), os.environ.get("TERM", "")
    shown = sys.stdout.isatty()
    dumb = shown and kind in ("", "dumb", "unknown")
    names = [name for name in ("TERM", "COLORTERM", "TERM_PROGRAM") if name in os.environ]
    value = " ".join(f"{name}={os.environ[name]}" for name in names)
    yield Finding(
        "terminal",
        value if shown else _("{names} (the output is no terminal)").format(names=value),
        _("the application cannot be shown in a terminal like this") if dumb else "",
        "export TERM=xterm-256color" if dumb else "",
        stops=dumb,
    )
    yield from _size(shown)
    yield _colours(look.depth, kind)
    yield _glyphs(look.glyphs)


def _kept(name: str, default: str) -> str:
    """What the learner once said of this kind of terminal."""
    from dltutor.progress import Progress

    with contextlib.suppress(DltutorError), Progress.open() as progress:
        return str(progress.preference(name, default))
    return default


def _size(shown: bool) -> Iterator[Finding]:
    size = shutil.get_terminal_size()
    small = shown and (size.columns < 80 or size.lines < 24)
    problem = _("lessons want 80 x 24, and are at their best from 100 x 30 on") if small else ""
    yield Finding("size", f"{size.columns} x {size.lines}", problem, _("Make the window larger.") if small else "")


def _colours(depth: str, kind: str) -> Finding:
    names = {"true": _("16 million"), "256": "256", "16": "16", "mono": _("none")}
    said = os.environ.get("DLTUTOR_COLORS", "")
    problem = _not_known("DLTUTOR_COLORS", said, (AUTO, *DEPTHS))
    hint = "unset DLTUTOR_COLORS" if problem else "" if said else _more_colours(depth, kind)
    return Finding("colours", names[depth], problem, hint)


def _not_known(variable: str, value: str, known: Iterable[str]) -> str:
    if not value or value.lower() in known:
        return ""
    return _("{setting} is none of {values}").format(setting=f"{variable}={value}", values=", ".join(known))


def _more_colours(depth: str, kind: str) -> str:
    if depth == "mono":
        return "unset NO_COLOR" if os.environ.get("NO_COLOR") else ""
    if _inside():
        return ""  # what stands around this terminal decides: see there
    if depth == "256" and os.environ.get("SSH_CONNECTION"):
        return _("SetEnv COLORTERM=truecolor   in your own ~/.ssh/config, or --colors true here, if it has more")
    if depth == "256":
        return _("export COLORTERM=truecolor   if your terminal has more")
    if depth == "16" and "color" not in kind and kind != "linux":
        return _("export TERM=xterm-256color   if your terminal has more")
    return ""


def _glyphs(glyphs: str) -> Finding:
    encoding, said = sys.stdout.encoding or "?", os.environ.get("DLTUTOR_GLYPHS", "")
    value = f"{encoding}, {glyphs}"
    if problem := _not_known("DLTUTOR_GLYPHS", said, (AUTO, *GLYPHS)):
        return Finding("characters", value, problem, "unset DLTUTOR_GLYPHS")
    if glyphs != "ascii" or said:
        return Finding("characters", value)
    if look_of(os.environ | {"LC_ALL": "C.UTF-8"}).glyphs == "ascii":  # so it is the terminal, not the locale
        mend = _("dltutor launch --glyphs block   if its font has blocks")
        return Finding("characters", value, "", mend)
    problem = _("plots are drawn in plain ASCII: this locale promises no more")
    return Finding("characters", value, problem, "export LC_ALL=C.UTF-8")


# ---------------------------------------------------------------- the way to it

FAR = 0.1  # seconds to the terminal and back from which on a link is felt
ASKED = 3  # times
SILENCE = 2.0  # seconds without an answer
QUESTION, ANSWER = b"\x1b[6n", re.compile(rb"\x1b\[\d+;\d+R")


def connection(trip: float | None) -> Iterator[Finding]:
    remote = os.environ.get("SSH_CONNECTION", "").split()
    value = _("from {address}").format(address=remote[0]) if remote else _("no: this machine's own terminal")
    survive = _("ssh -t HOST tmux new -A -s dltutor dltutor launch   goes on where it was when the link drops")
    yield Finding("ssh", value, "", survive if remote and not _inside() else "")
    yield _link(trip)
    if _inside() == "tmux":
        hint = _("set -as terminal-features ',*:RGB'   in ~/.tmux.conf, and --colors true here, if it has more")
        lacks = look_of().depth not in ("true", "mono")
        yield Finding("multiplexer", "tmux", "", hint if lacks else "")
    elif _inside() == "screen":
        yield Finding("multiplexer", "screen", "", _("tmux   in its place has all colours"))


def _inside() -> str:
    """The terminal is another program's, which stays when the link breaks."""
    return "tmux" if os.environ.get("TMUX") else "screen" if os.environ.get("STY") else ""


def _link(trip: float | None) -> Finding:
    if trip is None:
        return Finding("round trip", _("not measured: the terminal did not answer"))
    value = _("{ms:.1f} ms to the terminal and back").format(ms=1e3 * trip)
    if _inside():
        return Finding("round trip", _("{value}, as far as {program}").format(value=value, program=_inside()))
    slow = _("ssh -C HOST   sends far fewer bytes: keys and plots come sooner") if trip > FAR else ""
    return Finding("round trip", value, "", slow)


def round_trip() -> float | None:
    """Seconds until the terminal has answered, the median of a few; None where it does not, or where there is none."""
    if os.name != "posix" or os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return None
    with contextlib.suppress(OSError), open("/dev/tty", "r+b", buffering=0) as tty:
        if os.tcgetpgrp(tty.fileno()) == os.getpgrp():  # in the background, asking would stop us
            return _asked(tty.fileno())
    return None


def _asked(tty: int) -> float | None:
    import termios
    import tty as modes

    before = termios.tcgetattr(tty)
    try:
        modes.setcbreak(tty, termios.TCSADRAIN)  # which does not throw away what was typed already
        return _median_answer(tty)
    finally:
        termios.tcsetattr(tty, termios.TCSADRAIN, before)


def _median_answer(tty: int) -> float | None:
    times: list[float] = []
    while len(times) < ASKED:
        if _waiting(tty, 0.0):  # keys, which are for whoever reads next
            break
        began = time.monotonic()
        os.write(tty, QUESTION)
        if not _answered(tty, began + SILENCE):
            break
        times.append(time.monotonic() - began)
    return median(times) if times else None


def _answered(tty: int, deadline: float) -> bool:
    heard = b""
    while not ANSWER.search(heard):
        if not _waiting(tty, deadline - time.monotonic()):
            return False
        heard += os.read(tty, 256)
    _put_back(tty, ANSWER.sub(b"", heard))
    return True


def _waiting(tty: int, seconds: float) -> bool:
    import select

    return bool(select.select([tty], [], [], max(0.0, seconds))[0])


def _put_back(tty: int, keys: bytes) -> None:
    """What was typed meanwhile, as if it came now. Newer kernels don't allow it."""
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        for key in keys:
            fcntl.ioctl(tty, termios.TIOCSTI, bytes([key]))


def gpu(child: Future[dict[str, Any]]) -> Iterator[Finding]:
    told = child.result()
    if told.get("found"):
        yield Finding("gpu", _("{name}, compute capability {capability}").format(**told))
        return
    driver = shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
    without = _("none; everything runs on the processor, and --device emulate runs the CUDA kernels there")
    if not driver:
        yield Finding("gpu", without, "", _("With an NVIDIA card: install its driver first."))
    elif not told.get("package"):
        mend = f'{sys.executable} -m pip install "dltutor[cuda]"'
        yield Finding("gpu", without, _("there is an NVIDIA driver, but not the package that uses it"), mend)
    else:
        why = told.get("error") or _("numba-cuda {package} finds no card").format(**told)
        yield Finding("gpu", without, why, "nvidia-smi")


# ---------------------------------------------------------------- where the learner's code runs

OPENED_BY = {  # what closes the strongest walls to ordinary users, and the line that opens them
    "kernel/unprivileged_userns_clone": ("0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "user/max_user_namespaces": ("0", "sudo sysctl -w user.max_user_namespaces=10000"),
}  # fmt: skip
CONTAINERS = ("/.dockerenv", "/run/.containerenv")


def room(child: Future[dict[str, Any]]) -> Iterator[Finding]:
    """The walls around it: see dltutor/room."""
    told = child.result()
    tier = told.get("tier", "")
    walls = {
        "namespaces": _("locked in, in namespaces of its own"),
        "bubblewrap": _("locked in by bubblewrap"),
        "landlock": _("without network, and cannot read or change your files (Landlock)"),
        "limits": _("limited in time and memory only: safe from accidents, not from code that means harm"),
    }
    problem = _("your code cannot be run: {error}").format(error=told.get("error")) if not tier else ""
    again = f"{sys.executable} -m pip install --force-reinstall dltutor"
    better = _better_walls(tier) if sys.platform == "linux" else ""
    yield Finding("your code", walls.get(tier, ""), problem, better if tier else again)


def _better_walls(tier: str) -> str:
    """The line after which the learner's code is locked in better; empty where it can't be, or where none is known."""
    if tier == "namespaces":
        return ""
    for name, (closed, line) in OPENED_BY.items():
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text(encoding="utf-8").strip() == closed:
                return line
    if any(map(os.path.exists, CONTAINERS)):
        return _("docker run --security-opt seccomp=unconfined ...   lets this container have namespaces")
    return "" if shutil.which("bwrap") else "sudo apt install bubblewrap"


# ---------------------------------------------------------------- what is taught


def data_sets(child: Future[dict[str, Any]]) -> Iterator[Finding]:
    told = child.result()
    if "error" in told:
        mend = f"{sys.executable} -m pip install --force-reinstall scikit-learn"
        yield Finding(
            "data sets", "", _("scikit-learn's data cannot be read: {error}").format(error=told["error"]), mend, True
        )
        return
    yield Finding("data sets", "diabetes, breast_cancer, digits")
    yield Finding("Fashion-MNIST", told.get("folder") or told["message"], "", told.get("hint", ""))


def lessons() -> Iterator[Finding]:
    from dltutor.lesson.course import catalogue

    course = catalogue(i18n.current())
    count = i18n.plural("{n} lesson", "{n} lessons", len(course.entries))
    none = not any(entry.heading for entry in course.entries)
    mend = f"{sys.executable} -m pip install --force-reinstall dltutor" if none else ""
    yield Finding("lessons", count, _("there is nothing to read") if none else "", mend, stops=none)
    for entry in course.entries:
        if not entry.problem:
            yield from _text_of(entry)
    for problem in course.problems:
        message, _newline, hint = problem.partition("\n")
        yield Finding("lesson", "", message, hint)


def _text_of(entry: Any) -> Iterator[Finding]:
    """What is wrong with the text of a lesson whose heading can be read."""
    try:
        entry.load()
    except DltutorError as error:
        yield Finding("lesson", entry.id, error.message, error.hint)
