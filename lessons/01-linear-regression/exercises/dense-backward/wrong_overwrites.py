def dense_backward(x, w, dy, dx, dw, db):
    N, D = x.shape
    M = w.shape[1]
    dw[:] = 0
    db[:] = 0
    dx[:] = 0
    for n in range(N):
        for m in range(M):
            db[m] += dy[n, m]
            for d in range(D):
                dw[d, m] += x[n, d] * dy[n, m]
                dx[n, d] += dy[n, m] * w[d, m]
