"""The start method "spawn": a fresh interpreter, which imports what it needs."""
