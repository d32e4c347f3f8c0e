"""Activations beside the three in network.py: leaky ReLU, GELU, softplus, and those over a whole row."""

from __future__ import annotations

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.layers.network import Activation, Layer
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


class GELU(Activation):
    """y = x Phi(x), Phi(x) the share of standard normal numbers below x; nearly the same, and faster, with form="tanh".

    Phi(x) is 1/2 + erf(x / sqrt 2) / 2: dltutor/kernels/gelu.py.
    """

    keeps_input = True
    rectifies = True

    def __init__(self, form: str = "exact") -> None:
        if form not in ("exact", "tanh"):
            message = _("no GELU has the form {form}").format(form=form)
            raise DltutorError(message, _('Give form="exact" or form="tanh".'))
        self.operation = "gelu.py:gelu" if form == "exact" else "gelu.py:gelu_tanh"

    def name(self) -> str:
        return _("GELU")


class Softplus(Activation):
    """y = ln (1 + e^x)"""

    operation = "softplus"
    keeps_input = True

    def name(self) -> str:
        return _("softplus")


class Softmax(Activation):
    """y = e^x / sum of e^x over the row: probabilities. Before a SoftmaxCrossEntropy it is one too many."""

    operation = "softmax"
    of_rows = True

    def name(self) -> str:
        return _("softmax")


class LogSoftmax(Activation):
    """y = x - ln (sum of e^x over the row): logarithms of probabilities"""

    operation = "log_softmax"
    of_rows = True

    def name(self) -> str:
        return _("log-softmax")
