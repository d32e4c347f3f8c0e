import numpy as np


def dense_backward(x, w, dy, dx, dw, db):
    N, D = x.shape
    M = w.shape[1]
    dw += np.dot(x.T, dy)
    db += np.sum(dy, axis=0)
    dx += np.dot(dy, w.reshape(M, D))
