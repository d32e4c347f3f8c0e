def dense_forward(x, w, b, y):
    N, D = x.shape
    M = w.shape[1]
    for n in range(N):
        for m in range(M):
            y[n, m] += b[m]
            for d in range(D):
                y[n, m] += x[n, d] * w[d, m]
