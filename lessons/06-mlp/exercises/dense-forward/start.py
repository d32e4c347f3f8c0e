import numpy as np


def dense_forward(x, w, b, y):
    """y[n, m] = b[m] + the sum over d of x[n, d] * w[d, m]

    x (N, D)   N samples, D inputs each
    w (D, M)   the weights of M neurons, a column for each
    b (M,)     a bias for each neuron
    y (N, M)   what comes out: overwrite it
    """
    N, D = x.shape
    M = w.shape[1]
    # your lines here
