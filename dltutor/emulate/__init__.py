"""CUDA without a graphics card: kernels compiled for one, run and inspected on the processor.

    front          a kernel's Python function becomes LLVM IR, then PTX, NVIDIA's portable assembly language
    interpreter    runs the PTX with NumPy, checks every access, and counts what a profiler would
    native         runs the LLVM IR as machine code of this processor: fast, and checks nothing
    cubin          what the assembler makes of the PTX for one card: registers, shared memory, size

The interpreter's parts: `ptx` reads the text, `layout` places its variables, `steps` turns instructions into Python
functions, of which `arithmetic` has what they calculate and `access` the loads and stores; `threads` and `memory` hold
what they work on, `arguments` what the host gives, and `report` what a launch tells.
"""
