"""The demo: a believable university with its instruments, simulated live."""
