def dense_backward(x, w, dy, dx, dw, db):
    dw += x.T @ dy
    db += dy.sum(axis=0)
    dx += dy @ w.reshape(w.shape[1], w.shape[0])
