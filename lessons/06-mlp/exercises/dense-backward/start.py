import numpy as np


def dense_backward(x, w, dy, dx, dw, db):
    """What y = x w + b owes, given dy

    dw += x^T dy                  x dx (N, D)
    db += the rows of dy, summed  w dw (D, M)
    dx += dy w^T                  db (M,), dy (N, M)
    """
    # your lines here
