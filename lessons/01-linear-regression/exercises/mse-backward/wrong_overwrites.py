def mse_backward(y, t, dy):
    N = y.size
    for i in range(N):
        dy[i] = 2 / N * (y[i] - t[i])
