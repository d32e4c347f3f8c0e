def cross_entropy_backward(p, t, dz):
    N, C = p.shape
    for n in range(N):
        for c in range(C):
            dz[n, c] += p[n, c] / N
