"""The score of every sample, in NumPy, with one fault."""


def dense_forward(x, w, b, y):
    M = w.shape[1]
    for m in range(M):
        products = x * w[:, m]
        y[:, m] = products[:, 0] + b[m]
