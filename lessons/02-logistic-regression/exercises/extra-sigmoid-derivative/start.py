"""Gradient of the cross-entropy, with one fault."""

import numpy as np


def binary_cross_entropy_backward(z, t, dz):
    N = z.size
    for i in range(N):
        p = 1 / (1 + np.exp(-z[i]))
        error = p - t[i]
        dz[i] += error * p * (1 - p) / N
