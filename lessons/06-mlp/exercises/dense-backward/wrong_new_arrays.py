def dense_backward(x, w, dy, dx, dw, db):
    dw = dw + x.T @ dy
    db = db + dy.sum(axis=0)
    dx = dx + dy @ w.T
