"""A terminal tutor for deep learning: lessons, live training, and the kernels that do it."""

__version__ = "0.1.0"
