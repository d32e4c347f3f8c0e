"""The mean squared error and its gradient, in NumPy, with one fault."""

import numpy as np


def errors(y, t):
    outputs = y.reshape(-1, 1)
    return outputs - t


def mse_forward(y, t, loss):
    error = errors(y, t)
    loss[0] = np.sum(error * error) / error.size


def mse_backward(y, t, dy):
    error = errors(y, t)
    dy += 2 * np.sum(error, axis=1) / error.size
