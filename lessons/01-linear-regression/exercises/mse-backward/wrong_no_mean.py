def mse_backward(y, t, dy):
    for i in range(y.size):
        dy[i] += 2 * (y[i] - t[i])
