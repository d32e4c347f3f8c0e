def mse_backward(y, t, dy):
    N = y.size
    for i in range(N):
        error = y[i] - t[i]
        dy[i] += 2 / N * error
