"""The process that shows lessons and listens. It never imports Numba, and NumPy only when the first plot is drawn."""
