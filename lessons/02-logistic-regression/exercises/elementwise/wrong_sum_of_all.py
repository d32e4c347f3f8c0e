def dense_forward(x, w, b, y):
    M = w.shape[1]
    for m in range(M):
        products = x * w[:, m]
        y[:, m] = products.sum() + b[m]
