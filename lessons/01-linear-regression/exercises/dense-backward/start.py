"""The backward pass of the dense layer.

    y[n,m] = sum_d x[n,d] w[d,m] + b[m]

    dw[d,m] += sum_n x[n,d] dy[n,m]
    db[m]   += sum_n dy[n,m]
    dx[n,d] += sum_m dy[n,m] w[d,m]

x (N, D)   w (D, M)   dy (N, M)         given
dx (N, D)  dw (D, M)  db (M,)           add to what is there
"""


def dense_backward(x, w, dy, dx, dw, db):
    N, D = x.shape
    M = w.shape[1]
    # your lines here
