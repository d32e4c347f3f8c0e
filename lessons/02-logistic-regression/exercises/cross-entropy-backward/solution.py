import numpy as np


def binary_cross_entropy_backward(z, t, dz):
    N = z.size
    for i in range(N):
        p = 1 / (1 + np.exp(-z[i]))
        dz[i] += (p - t[i]) / N
