"""The gradient of the binary cross-entropy at the score.

    p = 1 / (1 + e^-z[i])
    dz[i] += (1 / N) (p - t[i])

z, t    scores and targets, N numbers each; every t is 0 or 1
dz      the gradient, N numbers: add to what is there
"""

import numpy as np


def binary_cross_entropy_backward(z, t, dz):
    N = z.size
    for i in range(N):
        dz[i] += 0  # your lines; e to the power of v is np.exp(v)
