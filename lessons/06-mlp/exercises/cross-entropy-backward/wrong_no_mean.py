def cross_entropy_backward(p, t, dz):
    N, C = p.shape
    for n in range(N):
        for c in range(C):
            truth = 1 if c == t[n] else 0
            dz[n, c] += p[n, c] - truth
