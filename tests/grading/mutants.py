"""Wrong kernels, made from ours: each differs from a right one in one place.

`standalone` writes a kernel of ours as a learner's file, with all that it calls. `mutants` yields that file with one
thing changed: a sign, two indices, a range, a factor, a comparison, += instead of =.
"""

from __future__ import annotations

import ast
import copy
import inspect
import random
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from dltutor.kernels.compile import used_globals

Change = Callable[[ast.AST], ast.AST | None]  # the node that takes this one's place; None: it stays
CONSTANTS = {"ZERO": "ONE", "ONE": "TWO", "TWO": "ONE", "HALF": "ONE"}
NUMBERS = """import math
import numpy as np
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
"""
PLAIN = {  # what is fast when compiled, as fast as it can be in Python; nothing in it is changed
    "add_product": "def add_product(a, b, c): c += a @ b",
    "add_product_transposed": "def add_product_transposed(a, b, c): c += a @ b.T",
    "stack": "def stack(like, rows, columns): return np.empty((rows, columns), like.dtype)",
    "exp": "exp = np.exp",
    "log": "log = np.log",
    "tanh": "tanh = np.tanh",
    "log_one_plus_exp": "log_one_plus_exp = lambda x: np.log1p(np.exp(x))",
}


# ---------------------------------------------------------------- a kernel as a learner's file


def standalone(kernel: Any) -> str:
    """The kernel's function and all that it calls, without decorators and annotations."""
    parts: dict[str, str] = {}
    collect(kernel.py_func, parts)
    return NUMBERS + "\n".join(parts.values())


def collect(function: FunctionType, parts: dict[str, str]) -> None:
    """Put what it needs, then itself, into `parts`, by name."""
    for name, value in sorted(used_globals(function).items()):
        called = getattr(value, "py_func", value)
        if name in PLAIN:
            parts[name] = PLAIN[name]
        elif name not in parts and isinstance(called, FunctionType):
            collect(called, parts)
        elif isinstance(value, int | float | np.number) and name not in CONSTANTS:
            parts[name] = f"{name} = np.{np.asarray(value).dtype}({str(value)!r})"
    parts[function.__name__] = bare(function)


def bare(function: FunctionType) -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    node = tree.body[0]
    assert isinstance(node, ast.FunctionDef)
    node.decorator_list, node.returns = [], None
    for argument in node.args.args:
        argument.annotation = None
    return ast.unparse(node) + "\n"


# ---------------------------------------------------------------- one thing changed


@dataclass(frozen=True)
class Mutant:
    change: str
    place: str
    source: str

    def __str__(self) -> str:
        return f"{self.change} in `{self.place}`"


def mutants(source: str, order: random.Random) -> Iterator[Mutant]:
    """Every change at every place, in any order."""
    tree = ast.parse(source)
    kernels = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name not in PLAIN]
    places = [node for function in kernels for node in ast.walk(function)]
    found = [(name, node) for name in CHANGES for node in places if CHANGES[name](node) is not None]
    order.shuffle(found)
    for name, node in found:
        yield Mutant(name, shorten(node), replaced(tree, node, CHANGES[name](node)))


def shorten(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0][:60]


def replaced(tree: ast.Module, old: ast.AST, new: ast.AST | None) -> str:
    """The file with one node exchanged."""

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return copy.deepcopy(new) if node is marked else self.generic_visit(node)

    number = next(number for number, node in enumerate(ast.walk(tree)) if node is old)
    whole = copy.deepcopy(tree)
    marked = next(node for found, node in enumerate(ast.walk(whole)) if found == number)
    return ast.unparse(ast.fix_missing_locations(Replace().visit(whole)))


def with_fields(node: ast.AST, **fields: Any) -> Any:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def sign(node: ast.AST) -> ast.AST | None:
    """+ and - exchanged, also in += and -=; a minus left out."""
    other = {ast.Add: ast.Sub, ast.Sub: ast.Add}
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in other:
        return with_fields(node, op=other[type(node.op)]())
    return node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else None


def transposed(node: ast.AST) -> ast.AST | None:
    """The last two indices exchanged; rows and columns exchanged where a shape is unpacked."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        *first, a, b = node.slice.elts
        return None if ast.dump(a) == ast.dump(b) else with_fields(node, slice=ast.Tuple([*first, b, a], ast.Load()))
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and ".shape" in ast.unparse(node.value):
        *first, a, b = node.targets[0].elts
        return with_fields(node, targets=[ast.Tuple([*first, b, a], ast.Store())])
    return None


def off_by_one(node: ast.AST) -> ast.AST | None:
    """The last round of a loop left out."""
    if isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and len(node.iter.args) == 1:
        (end,) = node.iter.args
        return with_fields(node, iter=with_fields(node.iter, args=[ast.BinOp(end, ast.Sub(), ast.Constant(1))]))
    return None


def first_left_out(node: ast.AST) -> ast.AST | None:
    """The first round of a loop left out."""
    if isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and len(node.iter.args) == 1:
        return with_fields(node, iter=with_fields(node.iter, args=[ast.Constant(1), *node.iter.args]))
    return None


def no_mean(node: ast.AST) -> ast.AST | None:
    """A division left out."""
    return node.left if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else None


def no_factor(node: ast.AST) -> ast.AST | None:
    """Half of a product left out."""
    return node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) else None


def constant(node: ast.AST) -> ast.AST | None:
    """Another constant."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in CONSTANTS:
        return with_fields(node, id=CONSTANTS[node.id])
    return None


def not_added(node: ast.AST) -> ast.AST | None:
    """= for +=."""
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
        return ast.Assign([node.target], node.value)
    return None


def added(node: ast.AST) -> ast.AST | None:
    """+= for =."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return ast.AugAssign(node.targets[0], ast.Add(), node.value)
    return None


def comparison(node: ast.AST) -> ast.AST | None:
    """The other way round."""
    other = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
    if isinstance(node, ast.Compare) and type(node.ops[0]) in other:
        return with_fields(node, ops=[other[type(node.ops[0])]()])
    return None


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        sign, transposed, off_by_one, first_left_out, no_mean, no_factor, constant, not_added, added, comparison,
    )
}  # fmt: skip
