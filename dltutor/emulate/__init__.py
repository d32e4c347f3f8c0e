"""CUDA without a graphics card: kernels compiled for one, run and inspected on the processor.

front          a kernel's Python function becomes LLVM IR, then PTX, NVIDIA's portable assembly language
ptx            reads PTX
interpreter    runs it with NumPy, checks every access, and counts what a profiler would
native         runs the LLVM IR as machine code of this processor: fast, and checks nothing
cubin          what the assembler made of the PTX for one card: registers, shared memory, size
"""
