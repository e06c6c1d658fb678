"""Two hosts side by side: our network against the bare wire and against Docker's own overlay.

`python -m bench`; how to read what it prints stands in docs/reference/bench.md.
"""
