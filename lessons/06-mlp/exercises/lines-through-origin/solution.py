def dense_forward(x, w, b, y):
    """y = x w + b"""
    N, D = x.shape
    M = w.shape[1]
    for n in range(N):
        for m in range(M):
            y[n, m] = b[m]
            total = 0.0
            for d in range(D):
                total += x[n, d] * w[d, m]
            y[n, m] += total
