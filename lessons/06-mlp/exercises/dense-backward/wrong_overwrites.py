def dense_backward(x, w, dy, dx, dw, db):
    N, M = dy.shape
    D = w.shape[0]
    for m in range(M):
        total = 0.0
        for n in range(N):
            total += dy[n, m]
        db[m] = total
    for d in range(D):
        for m in range(M):
            total = 0.0
            for n in range(N):
                total += x[n, d] * dy[n, m]
            dw[d, m] = total
    for n in range(N):
        for d in range(D):
            total = 0.0
            for m in range(M):
                total += dy[n, m] * w[d, m]
            dx[n, d] = total
