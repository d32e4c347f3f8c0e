def dense_backward(x, w, dy, dx, dw, db):
    """dw += x^T dy, db += the rows of dy added up, dx += dy w^T"""
    N, M = dy.shape
    D = w.shape[0]
    for n in range(N):
        for m in range(M):
            db[m] += dy[n, m]
            for d in range(D):
                dw[d, m] += x[n, d] * dy[n, m]
                dx[n, d] += dy[n, m] * w[d, m]
