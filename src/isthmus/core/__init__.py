"""What should be so: pure values and stages. No root, no clock, no log, no I/O."""
