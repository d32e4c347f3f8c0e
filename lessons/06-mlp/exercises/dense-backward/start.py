import numpy as np


def dense_backward(x, w, dy, dx, dw, db):
    """From dy, the gradients by everything that y = x w + b was made of

    dw[d, m] += the sum over n of x[n, d] * dy[n, m]
    db[m]    += the sum over n of dy[n, m]
    dx[n, d] += the sum over m of dy[n, m] * w[d, m]

    x dx (N, D), w dw (D, M), db (M,), dy (N, M)
    """
    N, M = dy.shape
    D = w.shape[0]
    # your lines here
