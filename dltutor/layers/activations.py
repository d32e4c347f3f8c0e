"""Activations beside the three in network.py: leaky ReLU, GELU, softplus, and those over a whole row."""

from __future__ import annotations

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.layers.network import Layer
from dltutor.layers.tape import Tape, Value


class LeakyReLU(Layer):
    """y = x where x > 0, else slope x"""

    rectifies = True

    def __init__(self, slope: float = 0.01) -> None:
        if not 0 <= slope < 1:
            message = _("no leaky ReLU can have slope={slope}").format(slope=slope)
            raise DltutorError(message, _("The slope goes from 0 up to, not including, 1: 0.01 or 0.2 are usual."))
        self.slope = slope

    def name(self) -> str:
        return _("leaky ReLU")

    def record(self, tape: Tape, x: Value) -> Value:
        y, slope = tape.value(x.shape, _("output")), float(self.slope)
        tape.run("leaky_relu_forward", x.flat.data, slope, y.flat.data)
        tape.undo("leaky_relu_backward", y.flat.data, slope, y.flat.grad, x.flat.grad)
        return y


class Curve(Layer):
    """A function of each number by itself whose derivative is written with x."""

    operation = ""

    def record(self, tape: Tape, x: Value) -> Value:
        y = tape.value(x.shape, _("output"))
        tape.run(f"{self.operation}_forward", x.flat.data, y.flat.data)
        tape.undo(f"{self.operation}_backward", x.flat.data, y.flat.grad, x.flat.grad)
        return y


class GELU(Curve):
    """y = x Phi(x), Phi(x) the share of standard normal numbers below x; nearly the same, and faster, with form="tanh".

    Phi(x) is 1/2 + erf(x / sqrt 2) / 2: dltutor/kernels/gelu.py.
    """

    rectifies = True

    def __init__(self, form: str = "exact") -> None:
        if form not in ("exact", "tanh"):
            message = _("no GELU has the form {form}").format(form=form)
            raise DltutorError(message, _('Give form="exact" or form="tanh".'))
        self.operation = "gelu.py:gelu" if form == "exact" else "gelu.py:gelu_tanh"

    def name(self) -> str:
        return _("GELU")


class Softplus(Curve):
    """y = ln (1 + e^x)"""

    operation = "softplus"

    def name(self) -> str:
        return _("softplus")


class RowActivation(Layer):
    """A function of each row, of the last axis, as a whole. Its derivative is written with y."""

    operation = ""

    def record(self, tape: Tape, x: Value) -> Value:
        y = tape.value(x.shape, _("output"))
        tape.run(f"{self.operation}_forward", x.rows.data, y.rows.data)
        tape.undo(f"{self.operation}_backward", y.rows.data, y.rows.grad, x.rows.grad)
        return y


class Softmax(RowActivation):
    """y = e^x / sum of e^x over the row: probabilities. Before a SoftmaxCrossEntropy it is one too many."""

    operation = "softmax"

    def name(self) -> str:
        return _("softmax")


class LogSoftmax(RowActivation):
    """y = x - ln (sum of e^x over the row): logarithms of probabilities"""

    operation = "log_softmax"

    def name(self) -> str:
        return _("log-softmax")
