def dense_backward(x, w, dy, dx, dw, db):
    N, M = dy.shape
    D = w.shape[0]
    for n in range(N):
        for m in range(M):
            db[m] += dy[n, m] / N
            for d in range(D):
                dw[d, m] += x[n, d] * dy[n, m] / N
                dx[n, d] += dy[n, m] * w[d, m]
