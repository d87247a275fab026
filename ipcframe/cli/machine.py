"""The doctor's checks of this machine: what it offers to programs of many processes, and what it lacks.

Nothing that a machine lacks is "bad" by itself: whether a backend can run without it, the backend says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .facts import Machine

__all__ = ["checks"]

Check = Callable[[], tuple[str, ...]]
_FEW_DESCRIPTORS = 1024
_LITTLE_MEMORY = 2**27


def checks() -> list[Check]:
    """One for each thing that is looked at."""
    machine = Machine()
    return [
        partial(check, machine)
        for check in (
            *(_name, _start_methods, _cores, _memory, _group, _address_space, _file_size, _descriptors),
            *(_memfd, _pidfd, _futex, _semaphores, _shared_memory),
        )
    ]


def _name(machine: Machine) -> tuple[str, ...]:
    return "good", machine.name()


def _start_methods(machine: Machine) -> tuple[str, ...]:
    names = machine.start_methods()
    return "good", f"start methods of this Python: {', '.join(names)}; its default is {names[0]}"


def _cores(machine: Machine) -> tuple[str, ...]:
    count, usable, quota = machine.cores()
    workers = max(int(min(usable, quota or usable)), 1)
    if workers == count:
        return "good", f"cores: {count}"
    parts = [f"{count} in the machine"]
    if usable < count:
        parts.append(f"this process may run on {usable}")
    if quota is not None:
        parts.append(f"its control group gets the time of {quota:g}")
    return (
        "note",
        f"cores: {', '.join(parts)}",
        f"Pool() and executors count the machine's on some Pythons: name the number, Pool({workers})",
    )


def _memory(machine: Machine) -> tuple[str, ...]:
    size, left = machine.memory()
    sentence = f"memory: {_bytes(left)} of {_bytes(size)} are left"
    if left < _LITTLE_MEMORY:
        return "note", sentence, "messages that wait in a queue lie in memory: give queues a maxsize"
    return "good", sentence


def _group(machine: Machine) -> tuple[str, ...]:
    space = machine.group_memory()
    if space is None:
        return "good", "memory of the control group: no limit"
    sentence = (
        f"memory of the control group: {_bytes(space.left)} of {_bytes(space.size)} are left; beyond that "
        "the kernel kills a process of the group"
    )
    if space.left < _LITTLE_MEMORY:
        return "note", sentence, "raise the container's limit (docker run --memory), or give queues a maxsize"
    return "good", sentence


def _address_space(machine: Machine) -> tuple[str, ...]:
    limit = machine.limit("RLIMIT_AS")
    if limit is None:
        return "good", "address space: no limit"
    return (
        "note",
        f"address space: {_bytes(limit)} for each process; shared memory counts each time it is mapped",
        "for none, type: ulimit -v unlimited",
    )


def _file_size(machine: Machine) -> tuple[str, ...]:
    limit = machine.limit("RLIMIT_FSIZE")
    if limit is None:
        return "good", "size of files: no limit"
    return (
        "note",
        f"size of files: {_bytes(limit)}; files in memory count too, so no queue can hold more",
        "for no limit, type: ulimit -f unlimited",
    )


def _descriptors(machine: Machine) -> tuple[str, ...]:
    limit = machine.limit("RLIMIT_NOFILE")
    if limit is None:
        return "good", "open descriptors: no limit"
    sentence = f"open descriptors: {limit} for each process"
    if limit <= _FEW_DESCRIPTORS:
        return "note", sentence, "a parent has some for each child; for more, type: ulimit -n 4096"
    return "good", sentence


def _memfd(machine: Machine) -> tuple[str, ...]:
    try:
        machine.make_memfd()
    except (AttributeError, OSError) as error:
        return "note", f"memfd: memfd_create fails ({error}); unlinked temporary files are used instead"
    return "good", "memfd: anonymous shared memory can be made"


def _pidfd(machine: Machine) -> tuple[str, ...]:
    try:
        machine.open_pidfd()
    except (AttributeError, OSError) as error:
        return "note", f"pidfd: pidfd_open fails ({error}); deaths are noticed without it, a little later"
    return "good", "pidfd: the death of a process can be waited for"


def _futex(machine: Machine) -> tuple[str, ...]:
    try:
        known = machine.wake_futex()
    except (AttributeError, OSError) as error:
        return "note", f"futex: the system call fails ({error}); what sleeps in shared memory cannot work"
    if not known:
        return "note", "futex: not looked for on this kind of machine"
    return "good", "futex: a process can sleep on a word in shared memory"


def _semaphores(machine: Machine) -> tuple[str, ...]:
    try:
        machine.make_semaphore()
    except (AttributeError, ImportError, OSError) as error:
        return (
            "note",
            f"sem_open: fails ({error}); multiprocessing's own locks and queues cannot be made",
            "ours need none: ipcframe run script.py",
        )
    return "good", "sem_open: multiprocessing's own locks can be made"


def _shared_memory(machine: Machine) -> tuple[str, ...]:
    try:
        size, left = machine.shared_memory()
    except OSError as error:
        return "note", f"/dev/shm: {error.strerror}; SharedMemory and multiprocessing's own locks fail"
    sentence = f"/dev/shm: {_bytes(left)} of {_bytes(size)} are left; of ours, only SharedMemory lies there"
    if left < _LITTLE_MEMORY:
        return "note", sentence, "in a container, for more: docker run --shm-size=1g"
    return "good", sentence


def _bytes(number: int) -> str:
    for factor, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= factor:
            return f"{number / factor:.4g} {unit}"
    return f"{number} bytes"
