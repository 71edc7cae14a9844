"""Children end with us, and are stopped gently before they are stopped hard."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from tests.infra.processes import alive, started, until

from haidang.infra.processes import dies_with_us, ended, stop

_PARENT = """
import subprocess, sys, time
from haidang.infra.processes import dies_with_us
options = {"user": "nobody", "group": "nogroup", "extra_groups": []} if sys.argv[1] == "nobody" else {}
child = subprocess.Popen(["sleep", "600"], cwd="/", preexec_fn=dies_with_us(), **options)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "user",
    ["ourselves", pytest.param("nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="not root"))],
)
async def test_a_child_dies_with_its_parent_also_as_another_user(user: str) -> None:
    """A change of user clears the request: it has to be made after one."""
    parent = started(sys.executable, "-c", _PARENT, user)
    assert parent.stdout is not None
    child = int(await asyncio.to_thread(parent.stdout.readline))
    assert alive({child})
    parent.kill()
    parent.communicate()
    await until(lambda: not alive({child}), 5, "the child to die")


def sleeper(*, deaf: bool = False) -> subprocess.Popen[bytes]:
    ignoring = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if deaf else ""
    script = f"import signal, time; {ignoring} print('up', flush=True); time.sleep(600)"
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        preexec_fn=dies_with_us(),  # noqa: PLW1509 - what is tested
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child


async def test_the_end_of_a_child_is_awaited_without_a_thread() -> None:
    child = sleeper()
    waiting = asyncio.ensure_future(ended(child))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    child.kill()
    assert await asyncio.wait_for(waiting, 5) == -signal.SIGKILL
    assert await ended(child) == -signal.SIGKILL  # also when it is over already


async def test_a_child_that_listens_is_not_killed() -> None:
    child = sleeper()
    assert await stop(child, signal.SIGTERM, within_s=10)
    assert child.returncode == -signal.SIGTERM
    assert await stop(child, signal.SIGTERM, within_s=10)


async def test_a_deaf_child_is_killed_at_the_deadline() -> None:
    child = sleeper(deaf=True)
    assert not await stop(child, signal.SIGTERM, within_s=0.2)
    assert child.returncode == -signal.SIGKILL


async def test_a_child_is_not_in_our_process_group() -> None:
    """Ctrl-C at a terminal goes to a whole group; only the supervisor is to hear it."""
    child = sleeper()
    assert os.getpgid(child.pid) != os.getpgid(0)
    child.kill()
    await ended(child)
    assert not alive({child.pid})


_LISTENER = """
import asyncio, signal, sys
from haidang.infra.processes import stop_on_signals
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
signal.signal(signal.SIGHUP, signal.SIG_IGN if "nohup" in sys.argv else signal.SIG_DFL)  # not the caller's
async def main():
    stop = stop_on_signals()
    print("ready", flush=True)
    await stop.wait()
    print("stopped", flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_part_hears_that_it_is_to_stop(number: signal.Signals) -> None:
    part = started(sys.executable, "-c", _LISTENER)
    assert part.stdout is not None
    assert await asyncio.to_thread(part.stdout.readline) == "ready\n"
    part.send_signal(number)
    said, _ = await asyncio.to_thread(part.communicate, timeout=20)
    assert said == "stopped\n"
    assert part.returncode == 0


async def test_under_nohup_a_closed_terminal_is_not_heard() -> None:
    part = started(sys.executable, "-c", _LISTENER, "nohup")
    assert part.stdout is not None
    assert await asyncio.to_thread(part.stdout.readline) == "ready\n"
    part.send_signal(signal.SIGHUP)
    await asyncio.sleep(0.2)
    assert part.poll() is None
    part.terminate()
    said, _ = await asyncio.to_thread(part.communicate, timeout=20)
    assert said == "stopped\n"
