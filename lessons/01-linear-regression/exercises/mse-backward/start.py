"""The gradient of the mean squared error by each output.

    dy[i] += (2 / N) (y[i] - t[i])

y, t    outputs and targets, N numbers each
dy      the gradient, N numbers: add to what is there
"""


def mse_backward(y, t, dy):
    N = y.size
    for i in range(N):
        dy[i] += 0  # your line: what belongs in the place of 0?
