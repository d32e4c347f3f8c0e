"""Which process imports what: Numba and NumPy stay out of the application, Textual out of the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("numba", "llvmlite", "numpy", "sklearn", "scipy")
SCREEN = ("textual", "rich")


def imported_after(code: str) -> set[str]:
    """The top-level packages that are imported once `code` has run in a process of its own."""
    code += "\nimport json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert child.returncode == 0, child.stderr
    return set(json.loads(child.stdout.splitlines()[-1]))


def test_the_application_starts_without_numba_and_numpy():
    imported = imported_after("import dltutor.ui.app, dltutor.ui.screens.home, dltutor.ui.screens.lesson")
    assert "textual" in imported
    assert not imported.intersection(HEAVY)


def test_the_plots_need_numpy_but_never_numba():
    imported = imported_after("import dltutor.ui.plots.board")
    assert "numpy" in imported
    assert not imported.intersection({"numba", "sklearn", "scipy", "textual"})


def test_the_engine_never_imports_the_screen():
    imported = imported_after("import dltutor.engine.process, dltutor.engine.engine, dltutor.layers, dltutor.data")
    assert not imported.intersection(SCREEN)


def test_the_engine_loads_numba_only_when_it_compiles():
    """Its first words come sooner."""
    assert "numba" not in imported_after("import dltutor.engine.engine")


def test_the_ground_and_what_stands_beside_it_is_light():
    names = "errors i18n wire pictures lab lesson lesson.course progress link headless doctor sitting listing"
    imported = imported_after("\n".join(f"import dltutor.{name}" for name in names.split()))
    assert not imported.intersection(HEAVY + SCREEN)


def test_quick_commands_import_nothing_slow():
    commands = ["--help"], ["list"], ["list", "--json"], ["run", "--help"], ["progress", "show"], ["progress", "export"]
    imported = imported_after(f"from dltutor.cli import main\nassert not any(map(main, {commands!r}))")
    assert not imported.intersection(HEAVY + SCREEN)


def test_a_closed_door_to_numba_does_not_trouble_the_course(home):
    """The application can be read on a machine whose compiler is broken."""
    code = "import sys\nsys.modules['numba'] = sys.modules['numpy'] = None\nimport dltutor.ui.app"
    assert "dltutor" in imported_after(code)


def test_the_contracts_of_pyproject_hold():
    command = Path(sysconfig.get_path("scripts")) / "lint-imports"
    child = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.returncode == 0, child.stdout + child.stderr
