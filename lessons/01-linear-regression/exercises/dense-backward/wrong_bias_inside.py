def dense_backward(x, w, dy, dx, dw, db):
    N, D = x.shape
    M = w.shape[1]
    for n in range(N):
        for m in range(M):
            for d in range(D):
                db[m] += dy[n, m]
                dw[d, m] += x[n, d] * dy[n, m]
                dx[n, d] += dy[n, m] * w[d, m]
