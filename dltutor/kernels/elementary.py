"""Elementary functions in a form that a loop can calculate for many numbers at once.

    exp               e^x = 2^k e^r,  k = round(x / ln 2),  r = x - k ln 2,  so that |r| <= 0.35
    log               ln x = k ln 2 + ln (1 + f),  x = 2^k (1 + f),  so that -0.3 <= f <= 0.42
    log_one_plus_exp  the same of 1 + e^x: f is e^x itself where that is small, and nothing is lost
    tanh              x P(x^2) / Q(x^2), two polynomials, for |x| < 9.017; farther out 1
    normal_density    phi(x) = e^(-x^2 / 2) / sqrt(2 pi), the bell curve
    normal_cdf        Phi(x), the area under it left of x; Phi(-|x|) = e^(-x^2 / 2) S(t),  t = 1 / (1 + 0.26 |x|)

The processor's own library takes them one at a time: 2 to 14 ns a number. As polynomials, they take 0.1 to 0.5. Those
of log, tanh and S are the ones whose largest error is as small as it can be: 6e-9, 2e-8 and 3e-8 before rounding.

Dtypes   float32: as above, with a relative error of at most 1e-7 (log), 3e-7 (exp, log_one_plus_exp), 4e-7 (tanh),
         6e-7 (normal_cdf right of -3; 5e-6 at -13). float64, and CUDA: the library's.
Limits   exp is 0 below -87.3 and infinity above 88.3. log is -infinity of 0, NaN below. NaN in, NaN out.
Source   Cody, Waite 1980, Software Manual for the Elementary Functions, chapters 5 and 6 (ln 2 in two parts);
         Hastings 1955, Approximations for Digital Computers, sheets 43 to 46 (the form of S).
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import HALF, INFINITY, ONE, ZERO, Number, scalar

PER_LN2 = np.float32(1 / math.log(2))
LN2_HIGH = np.float32(0.693359375)  # ln 2 in two parts: k times the first is exact
LN2_LOW = np.float32(math.log(2) - 0.693359375)
LOWEST, HIGHEST, OVERFLOW = np.float32(-87.9), np.float32(88.8), np.float32(709)
NO_FRACTION = np.float32(1.5 * 2**23 + 127)  # float32 keeps its exponent k as k + 127, above 23 digits

E2, E3, E4, E5, E6 = (np.float32(1 / math.factorial(n)) for n in (2, 3, 4, 5, 6))

ROOT_HALF = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)
FRACTION = np.int32(23)  # digits of a float32 behind the point
EXPONENT = np.int32(-(2**23))  # the bits in front of them
SMALLEST = np.float32(2.0**-126)  # below, the exponent's bits do not say all
UP, UP_K = np.float32(2**23), np.float32(23)
NAN = np.float32(np.nan)
L0, L1, L2, L3, L4, L5, L6, L7 = (
    np.float32(c)
    for c in (0.33333332, -0.25000821, 0.20001227, -0.16623357, 0.14201756, -0.13160187, 0.12761593, -0.07634505)
)

ROOT_TWO_LESS_ONE = np.float32(math.sqrt(2) - 1)

FLAT = np.float32(9.017)  # from here on, the quotient is 1
P0, P1, P2, P3, P4 = (np.float32(c) for c in (1.0, 0.133797184, 0.00349403508, 2.05834882e-05, 1.33190783e-08))
Q1, Q2, Q3, Q4 = (np.float32(c) for c in (0.467130336, 0.0258710753, 0.000328309363, 7.76202277e-07))

PER_ROOT_TWO_PI = np.float32(1 / math.sqrt(2 * math.pi))
ROOT_HALF_NUMBER = np.float32(math.sqrt(0.5))
SLOWLY = np.float32(0.26)
S1, S2, S3, S4, S5, S6, S7, S8, S9 = (
    np.float32(c)
    for c in (
        0.1037593881, 0.1030106141, 0.1030785267, 0.0508189876, 0.1614904361,
        -0.1518185972, 0.2523317102, -0.1532773917, 0.0306063262,
    )
)  # fmt: skip


@scalar
def exp(x: Number) -> Number:
    """e to the x; where Python would raise OverflowError, infinity."""
    return INFINITY if x > OVERFLOW else math.exp(x)


@exp.float32
def _exp_float32(x: Number) -> Number:
    inside = min(max(x, LOWEST), HIGHEST)
    # so large a number has no digits behind the point: adding it rounds, and leaves k + 127 in the lowest bits
    rounded = inside * PER_LN2 + NO_FRACTION
    k = rounded - NO_FRACTION
    r = inside - k * LN2_HIGH - k * LN2_LOW
    tail = E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))
    power = ONE + r * (ONE + r * tail)
    two_to_k = np.int32(np.float32(rounded).view(np.int32) << FRACTION).view(np.float32)
    return power * two_to_k if x == x else x


@scalar
def log(x: Number) -> Number:
    """The natural logarithm; of 0 -infinity, and of less NaN, where Python would raise ValueError."""
    if x > ZERO:
        return math.log(x)
    return -INFINITY if x == ZERO else NAN


@log.float32
def _log_float32(x: Number) -> Number:
    tiny = x < SMALLEST
    k, one_and_f = split(x * UP if tiny else x)
    k = k - UP_K if tiny else k
    y = log_of_parts(k, one_and_f - ONE)
    inside = y if x < INFINITY else x  # x may be NaN
    return inside if not x <= ZERO else -INFINITY if x == ZERO else NAN


@scalar
def split(x: Number) -> tuple[Number, Number]:
    """k and m with x = 2^k m and m from sqrt(1/2) to sqrt(2)."""
    bits = np.float32(x).view(np.int32)
    above = np.int32(bits - ROOT_HALF)
    m = np.int32(bits - (above & EXPONENT)).view(np.float32)
    return np.float32(np.int32(above >> FRACTION)), m


@scalar
def log_of_parts(k: Number, f: Number) -> Number:
    """k ln 2 + ln (1 + f)"""
    tail = L0 + f * (L1 + f * (L2 + f * (L3 + f * (L4 + f * (L5 + f * (L6 + f * L7))))))
    square = f * f
    return k * LN2_HIGH + (f + (k * LN2_LOW - square * (HALF - f * tail)))


@scalar
def log_one_plus_exp(x: Number) -> Number:
    """ln (1 + e^x) for an x that is not above 0: as good near 0 as far below."""
    return math.log1p(exp(x))


@log_one_plus_exp.float32
def _log_one_plus_exp_float32(x: Number) -> Number:
    e = exp(x)
    large = e > ROOT_TWO_LESS_ONE
    f = HALF * (e - ONE) if large else e  # 1 + e = 2 (1 + f), or 1 + f
    return log_of_parts(ONE if large else ZERO, f)


@scalar
def tanh(x: Number) -> Number:
    return math.tanh(x)


@tanh.float32
def _tanh_float32(x: Number) -> Number:
    inside = min(max(x, -FLAT), FLAT)
    s = inside * inside
    p = P0 + s * (P1 + s * (P2 + s * (P3 + s * P4)))
    q = ONE + s * (Q1 + s * (Q2 + s * (Q3 + s * Q4)))
    y = min(max(inside * p / q, -ONE), ONE)  # rounding could take it past
    return y if x == x else x


@scalar
def normal_density(x: Number) -> Number:
    """The bell curve: how dense standard normal numbers are at x."""
    return PER_ROOT_TWO_PI * exp(-HALF * x * x)


@scalar
def normal_cdf(x: Number) -> Number:
    """How many standard normal numbers are below x; 1/2 + erf(x / sqrt 2) / 2."""
    return HALF * math.erfc(-x * ROOT_HALF_NUMBER)


@normal_cdf.float32
def _normal_cdf_float32(x: Number) -> Number:
    t = ONE / (ONE + SLOWLY * abs(x))
    low = S1 + t * (S2 + t * (S3 + t * (S4 + t * (S5 + t * (S6 + t * (S7 + t * (S8 + t * S9)))))))
    tail = exp(-HALF * x * x) * (t * low)
    return tail if x < ZERO else ONE - tail
