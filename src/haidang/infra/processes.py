"""Child processes that never outlive us: parent-death signal, and waiting for an end.

The kernel sends a child its parent-death signal when the *thread* that started it ends, so
children are started from the main thread.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)  # Loaded once, before any fork.


def set_parent_death_signal(number: int = signal.SIGKILL, *, parent: int | None = None) -> None:
    """Ask the kernel to send this process `number` when its parent dies, however it dies.

    `parent` is the pid that started us; if it is already gone, this process ends itself. A
    change of user clears the request, so it is made after one.
    """
    if _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent is not None and os.getppid() != parent:
        os._exit(1)  # The parent died between the fork and the request.


def dies_with_us(number: int = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn`: the child receives `number` when we die, and has default signal handling."""
    parent = os.getpid()

    def prepare() -> None:
        # Runs in the child after the change of user and before exec.
        set_parent_death_signal(number, parent=parent)
        # A terminal's Ctrl-C goes to the supervisor, which stops its parts in order.
        os.setpgid(0, 0)

    return prepare


def sync_file_system(folder: Path) -> None:
    """Have everything on the file system of `folder` written to its disk (syncfs)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed")
    finally:
        os.close(descriptor)


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child without a thread; its exit status, negative for the signal that killed it."""
    if process.poll() is None:
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:  # An old or restricted kernel.
            return await asyncio.to_thread(process.wait)
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(descriptor, over.set)
        try:
            while process.poll() is None:
                over.clear()
                await over.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    return process.wait()


async def stop(process: subprocess.Popen[bytes], number: int, *, within_s: float) -> bool:
    """Ask a child to stop with signal `number`, kill it at the deadline; whether it went by itself."""
    if process.poll() is not None:
        return True
    process.send_signal(number)
    try:
        await asyncio.wait_for(ended(process), within_s)
    except TimeoutError:
        process.kill()
        await ended(process)
        return False
    return True


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM, SIGINT or a closed terminal sets: a part then ends what it holds."""
    stop_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
            loop.add_signal_handler(number, stop_asked.set)
    return stop_asked
