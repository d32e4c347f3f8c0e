"""The proof of the kernels: checks that hold for all of them, and a table of cases for each family."""
