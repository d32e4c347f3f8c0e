"""Layers: they own parameters, gradients and buffers, and call kernels. Nothing else happens here.

    net = Sequential(Dense(64, 128), ReLU(), Dense(128, 10), rng=rng)
    loss, opt = SoftmaxCrossEntropy(), Adam(net)
    value = loss(net.forward(x), t)         # a float; loss.grad is its derivative by the network's output
    net.backward(loss.grad)                 # adds to the gradient of every parameter
    opt.step(lr=0.001)                      # changes the parameters and sets the gradients back to zero
    y = net.predict(x_test)                 # looks at other data without disturbing a step under way
    test = loss.value(y, t_test)            # the same for the loss

x is float32, (N, D) or of more axes; any N, different from call to call. The array that `forward` or `predict` returns
belongs to the network and is valid until its next call with an input of that shape. All parameters stand in one array
and all gradients in another, so that an optimiser is one kernel for the whole network. The first call with a new shape
records which kernels are to be called with which arrays; after that a pass is one native call that allocates nothing.

Use `predict` and `value` for everything that is only looked at (test data, pictures): `backward` needs the buffers of
the `forward` it belongs to, and raises DltutorError where another forward pass has overwritten them.
"""

from __future__ import annotations

from dltutor.layers.activations import GELU, LeakyReLU, LogSoftmax, Softmax, Softplus
from dltutor.layers.attention import MultiHeadAttention, Positions, TransformerBlock, gpt, sample
from dltutor.layers.generative import GaussianSample, GradientPenalty
from dltutor.layers.images import AveragePool2d, Conv2d, ConvBlock, ConvTranspose2d, Flatten, MaxPool2d, Reshape
from dltutor.layers.losses import MAE, MSE, BCEWithLogits, Huber, Loss, SoftmaxCrossEntropy, Wasserstein
from dltutor.layers.network import Chain, Dense, Layer, ReLU, Residual, Sequential, Sigmoid, Tanh
from dltutor.layers.normalisation import BatchNorm, LayerNorm
from dltutor.layers.optimisers import SGD, Adam, AdamW, ClipNorm, ClipValue, Momentum, Nesterov, Optimiser, RMSProp
from dltutor.layers.quantised import Quantised
from dltutor.layers.recurrent import GRU, LSTM, RNN, Embedding, Last, Recurrent
from dltutor.layers.regularisation import L1, L2, Dropout
from dltutor.layers.tape import Tape, Value

__all__ = [
    "GELU",
    "GRU",
    "L1",
    "L2",
    "LSTM",
    "MAE",
    "MSE",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "AveragePool2d",
    "BCEWithLogits",
    "BatchNorm",
    "Chain",
    "ClipNorm",
    "ClipValue",
    "Conv2d",
    "ConvBlock",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianSample",
    "GradientPenalty",
    "Huber",
    "Last",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "Loss",
    "MaxPool2d",
    "Momentum",
    "MultiHeadAttention",
    "Nesterov",
    "Optimiser",
    "Positions",
    "Quantised",
    "RMSProp",
    "ReLU",
    "Recurrent",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Tanh",
    "Tape",
    "TransformerBlock",
    "Value",
    "Wasserstein",
    "gpt",
    "sample",
]
