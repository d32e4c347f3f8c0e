import numpy as np


def sigmoid_backward(y, dy, dx):
    for i in range(y.size):
        p = 1 / (1 + np.exp(-y[i]))
        dx[i] += dy[i] * p * (1 - p)
