"""The backward pass of the sigmoid  y[i] = 1 / (1 + e^-x[i])

    dx[i] += dy[i] y[i] (1 - y[i])

y       what the sigmoid gave
dy      how the loss changes with y
dx      how the loss changes with x: add to what is there
"""


def sigmoid_backward(y, dy, dx):
    for i in range(y.size):
        dx[i] += 0  # your line: what belongs in the place of 0?
