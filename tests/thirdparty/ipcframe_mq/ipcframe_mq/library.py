"""What is used of posix_ipc. It says nothing of its types: the file with the types is beside this one."""

from posix_ipc import O_CREX, BusyError, ExistentialError, MessageQueue

__all__ = ["O_CREX", "BusyError", "ExistentialError", "MessageQueue"]
