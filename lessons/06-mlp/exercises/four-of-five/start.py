import math


def tanh_forward(x, y):
    """y = tanh(x)"""
    for i in range(x.size):
        y[i] = math.tanh(x[i])


def tanh_backward(y, dy, dx):
    """dx += dy times the slope of tanh at each place"""
    for i in range(y.size):
        slope = 1 - y[i]
        dx[i] += dy[i] * slope
