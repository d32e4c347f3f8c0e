"""A diagonal Gaussian whose mean and logarithm of variance a network puts out: a sample of it, and what it costs.

A row of x is [mu, v], Z numbers each, v = log sigma^2. The sample is made of random numbers eps that do not depend on
x, so that gradients pass through it ("reparameterisation"). The cost is the Kullback-Leibler divergence from N(0, 1).

    gaussian_sample   forward    z[n,k] = mu[n,k] + e^(v[n,k] / 2) eps[n,k]
                      backward   dmu[n,k] += dz[n,k];  dv[n,k] += dz[n,k] e^(v[n,k] / 2) eps[n,k] / 2
    gaussian_kl       forward    kl = -(1 / 2N) sum_nk (1 + v[n,k] - mu[n,k]^2 - e^v[n,k])
                      backward   dmu[n,k] += dkl mu[n,k] / N;  dv[n,k] += dkl (e^v[n,k] - 1) / 2N

The weight of the cost in the whole loss, beta, comes in as dkl.

Shapes   x dx (N, 2Z); eps z dz (N, Z); kl dkl (1,). C-contiguous. Of no samples kl is 0.
Dtypes   all float32 or all float64.
Writes   z, kl overwritten; dx added to.
Keeps    x and eps.
Cost     one exponential and 3 to 6 flops for each of the NZ numbers, in each of the four.
Source   Kingma, Welling 2013, arXiv:1312.6114, section 2.4 and appendix B; Higgins et al. 2017 (beta).
Lesson   16-vae
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import HALF, ONE, ZERO, Matrix, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import BLOCK, block_sum


def gaussian_sample_reference(x: Matrix, eps: Matrix) -> Matrix:
    mu, v = np.split(x, 2, axis=1)
    return mu + np.exp(v / 2) * eps


def gaussian_sample_backward_reference(x: Matrix, eps: Matrix, dz: Matrix) -> Matrix:
    v = np.split(x, 2, axis=1)[1]
    return np.concatenate([dz, dz * np.exp(v / 2) * eps / 2], axis=1)


def gaussian_kl_reference(x: Matrix) -> float:
    mu, v = np.split(x, 2, axis=1)
    return float(-np.sum(1 + v - mu**2 - np.exp(v)) / 2 / max(len(x), 1))


def gaussian_kl_backward_reference(x: Matrix, dkl: Vector) -> Matrix:
    mu, v = np.split(x, 2, axis=1)
    return dkl[0] * np.concatenate([mu, (np.exp(v) - 1) / 2], axis=1) / max(len(x), 1)


@scalar
def divergence(mu: Number, v: Number) -> Number:
    """Of one normal distribution from the standard one."""
    return HALF * (mu * mu + exp(v) - ONE - v)


# ---------------------------------------------------------------- CPU


@kernel(rows="x eps z")
def gaussian_sample_forward(x: Matrix, eps: Matrix, z: Matrix) -> None:
    N, Z = z.shape
    for n in range(N):
        for k in range(Z):
            sigma = exp(HALF * x[n, Z + k])
            z[n, k] = x[n, k] + sigma * eps[n, k]


@kernel(rows="x eps dz dx")
def gaussian_sample_backward(
    x: Matrix, eps: Matrix, dz: Matrix, dx: Matrix
) -> None:  # fmt: skip
    N, Z = dz.shape
    for n in range(N):
        for k in range(Z):
            # z[n, k] = x[n, k] + sigma * eps[n, k]
            sigma = exp(HALF * x[n, Z + k])
            dx[n, k] += dz[n, k]
            dx[n, Z + k] += HALF * dz[n, k] * sigma * eps[n, k]


@kernel
def gaussian_kl_forward(x: Matrix, kl: Vector) -> None:
    N, Z = x.shape[0], x.shape[1] // 2
    total = ZERO
    for n in range(N):
        for k in range(Z):
            total += divergence(x[n, k], x[n, Z + k])
    kl[0] = total / np.float32(max(N, 1))


@kernel
def gaussian_kl_backward(x: Matrix, dkl: Vector, dx: Matrix) -> None:
    N, Z = x.shape[0], x.shape[1] // 2
    share = dkl[0] / np.float32(max(N, 1))
    for n in range(N):
        for k in range(Z):
            # total += divergence(x[n, k], x[n, Z + k]), then / N
            dx[n, k] += share * x[n, k]
            dx[n, Z + k] += share * HALF * (exp(x[n, Z + k]) - ONE)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="z")
def gaussian_sample_forward_cuda(x: Matrix, eps: Matrix, z: Matrix) -> None:
    N, Z = z.shape
    for i in range(cuda.grid(1), N * Z, cuda.gridsize(1)):
        n, k = i // Z, i % Z
        sigma = exp(HALF * x[n, Z + k])
        z[n, k] = x[n, k] + sigma * eps[n, k]


@cuda_kernel(threads=128, over="dz")
def gaussian_sample_backward_cuda(
    x: Matrix, eps: Matrix, dz: Matrix, dx: Matrix
) -> None:  # fmt: skip
    N, Z = dz.shape
    for i in range(cuda.grid(1), N * Z, cuda.gridsize(1)):
        n, k = i // Z, i % Z
        # z[n, k] = x[n, k] + sigma * eps[n, k]
        sigma = exp(HALF * x[n, Z + k])
        dx[n, k] += dz[n, k]
        dx[n, Z + k] += HALF * dz[n, k] * sigma * eps[n, k]


@cuda_kernel(threads=BLOCK)
def gaussian_kl_forward_cuda(x: Matrix, kl: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    N, Z = x.shape[0], x.shape[1] // 2
    total = ZERO
    for i in range(cuda.grid(1), N * Z, BLOCK):
        n, k = i // Z, i % Z
        total += divergence(x[n, k], x[n, Z + k])
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        kl[0] = total / np.float32(max(N, 1))


@cuda_kernel(threads=128, over="x")
def gaussian_kl_backward_cuda(x: Matrix, dkl: Vector, dx: Matrix) -> None:
    N, Z = x.shape[0], x.shape[1] // 2
    share = dkl[0] / np.float32(max(N, 1))
    for i in range(cuda.grid(1), N * Z, cuda.gridsize(1)):
        n, k = i // Z, i % Z
        # total += divergence(x[n, k], x[n, Z + k]), then / N
        dx[n, k] += share * x[n, k]
        dx[n, Z + k] += share * HALF * (exp(x[n, Z + k]) - ONE)
