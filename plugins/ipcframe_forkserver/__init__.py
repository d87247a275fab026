"""The start method "forkserver": forked from a clean server process, which imported what was preloaded."""
