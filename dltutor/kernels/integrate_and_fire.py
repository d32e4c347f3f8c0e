"""Leaky integrate-and-fire neurons: what the neurons of a brain do, at its simplest.

    charge     v <- v + dt / tau (rest - v + drive)          explicit Euler of  tau dv/dt = rest - v + drive
    fire       where v >= threshold: spike <- 1, v <- reset, and v stays there for the refractory time
    trace      v before the reset, so that the threshold is seen to be reached

v is the voltage across the membrane, in mV; drive is the input current times the membrane's resistance, also in mV; all
times are in ms. v leaks back to rest within about tau. A constant drive above threshold - rest makes it fire every
tau ln((drive + rest - reset) / (drive + rest - threshold)) + refractory; one below never does.

Shapes   drive trace spikes (T, N), T steps of N neurons; v wait (N,). C-contiguous. T and N may be 0.
Dtypes   all float32 or all float64; wait int32, the steps of the refractory time still to come.
Writes   v and wait updated; trace and spikes overwritten.
Keeps    v and wait, to go on from.
Cost     5 flops and 2 comparisons a step and neuron.
Source   Lapicque 1907, Journal de Physiologie et de Pathologie Générale 9;
         Gerstner, Kistler, Naud, Paninski 2014, Neuronal Dynamics, section 1.3.
Lesson   03-neurons-and-activations
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import HALF, ONE, ZERO, Labels, Matrix, Number, Vector, cuda, cuda_kernel, kernel


def integrate_and_fire_reference(
    drive: Matrix,
    v: Vector,
    wait: Labels,
    dt: float,
    tau: float,
    rest: float,
    threshold: float,
    reset: float,
    refractory: float,
) -> tuple[Matrix, Matrix, Vector, Labels]:
    """trace, spikes, v, wait."""
    trace, spikes = np.empty_like(drive), np.empty_like(drive)
    pause = int(refractory / dt + 0.5)
    for step, now in enumerate(drive):
        charged = np.where(wait > 0, reset, v + dt / tau * (rest - v + now))
        fired = charged >= threshold
        trace[step], spikes[step] = charged, fired
        v = np.where(fired, reset, charged)
        wait = np.where(fired, pause, np.maximum(wait - 1, 0)).astype(np.int32)
    return trace, spikes, v, wait


# ---------------------------------------------------------------- CPU


@kernel
def integrate_and_fire_forward(
    drive: Matrix, v: Vector, wait: Labels,
    dt: Number, tau: Number, rest: Number,
    threshold: Number, reset: Number, refractory: Number,
    trace: Matrix, spikes: Matrix,
) -> None:  # fmt: skip
    T, N = drive.shape
    leak = dt / tau
    pause = np.int32(refractory / dt + HALF)
    for t in range(T):
        for n in range(N):
            waiting = wait[n] > 0
            charged = v[n] + leak * (rest - v[n] + drive[t, n])
            u = reset if waiting else charged
            fired = u >= threshold
            trace[t, n] = u
            spikes[t, n] = ONE if fired else ZERO
            v[n] = reset if fired else u
            left = np.int32(max(wait[n] - 1, 0))
            wait[n] = pause if fired else left


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="v")
def integrate_and_fire_forward_cuda(
    drive: Matrix, v: Vector, wait: Labels,
    dt: Number, tau: Number, rest: Number,
    threshold: Number, reset: Number, refractory: Number,
    trace: Matrix, spikes: Matrix,
) -> None:  # fmt: skip
    """One thread does one neuron."""
    T, N = drive.shape
    leak = dt / tau
    pause = np.int32(refractory / dt + HALF)
    for n in range(cuda.grid(1), N, cuda.gridsize(1)):
        u, left = v[n], wait[n]
        for t in range(T):
            charged = u + leak * (rest - u + drive[t, n])
            u = reset if left > 0 else charged
            fired = u >= threshold
            trace[t, n] = u
            spikes[t, n] = ONE if fired else ZERO
            u = reset if fired else u
            left = pause if fired else np.int32(max(left - 1, 0))
        v[n], wait[n] = u, left
