def mse_backward(y, t, dy):
    N = y.size
    for i in range(N - 1):
        dy[i] += 2 / N * (y[i] - t[i])
