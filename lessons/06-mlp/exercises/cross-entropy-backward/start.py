import numpy as np


def cross_entropy_backward(p, t, dz):
    """dz[n, c] += (p[n, c] - [c = t[n]]) / N

    p  (N, C)   the probability of each class, out of softmax
    t  (N,)     the number of the true class, from 0 to C - 1
    dz (N, C)   the gradient by the scores: add to it
    """
    N, C = p.shape
    # your lines here
