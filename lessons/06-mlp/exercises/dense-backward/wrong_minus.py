def dense_backward(x, w, dy, dx, dw, db):
    dw -= x.T @ dy
    db -= dy.sum(axis=0)
    dx -= dy @ w.T
