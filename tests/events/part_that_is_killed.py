"""A consumer or a sequencer in a process of its own, which a test kills.

`python -m tests.events.part_that_is_killed consumer|sequencer DSN`. The consumer notes each
event in `public.handled`, slowly enough to be killed in the middle of a batch.
"""

import asyncio
import sys

from haidang.infra.consumers import Consumer, ConsumerRunner
from haidang.infra.database import Connection, open_pool
from haidang.infra.events import Envelope, Sequencer
from haidang.kernel.actors import Audience
from haidang.kernel.instants import SystemClock
from tests.events.facts import PumpCounted


async def note(connection: Connection, envelope: Envelope) -> None:
    """Note that an event was handled; nothing forbids to note it twice."""
    await connection.execute("INSERT INTO public.handled (position) VALUES ($1)", envelope.position)
    await asyncio.sleep(0.001)


CONSUMER = Consumer(name="test.noting", listens_to=(PumpCounted,), handle=note, audience=Audience.MACHINE)


async def main() -> None:
    """Run until killed."""
    which, dsn = sys.argv[1:]
    pool = await open_pool(dsn, largest=4)
    never = asyncio.Event()
    if which == "sequencer":
        await Sequencer(pool, election_s=0.05).run(never)
    else:
        await ConsumerRunner(pool, SystemClock(), [CONSUMER]).run(never)


if __name__ == "__main__":
    asyncio.run(main())
