def dense_backward(x, w, dy, dx, dw, db):
    dw += x.T @ dy / len(x)
    db += dy.sum(axis=0) / len(x)
    dx += dy @ w.T
