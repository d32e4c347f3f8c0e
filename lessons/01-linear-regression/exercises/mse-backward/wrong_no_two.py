def mse_backward(y, t, dy):
    N = y.size
    for i in range(N):
        dy[i] += (y[i] - t[i]) / N
