"""Foreign reward code runs here: a limited child process, its isolation by the kernel, and the parent's side of it."""
