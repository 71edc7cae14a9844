"""The sequencer sleeps when nothing comes and misses no event that is published meanwhile."""

import asyncio
import random

from haidang.infra.database import Pool, transaction
from haidang.infra.events import PUBLISHED, Sequencer, publish
from tests.events.facts import PumpCounted
from tests.events.helpers import GAUGE, holds, running, tell, until

# A commit that takes its time after the ticket is taken, so that the sequencer can fall asleep in it.
SLOW_COMMIT = """
CREATE TABLE public.slow (seconds float);
CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(NEW.seconds); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON public.slow
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.dawdle();
"""


async def test_an_event_that_is_committed_while_it_falls_asleep_is_not_missed(pool: Pool) -> None:
    """Polling is set to a minute: what no look and no notification finds would wait for it."""
    await pool.execute(SLOW_COMMIT)
    choice = random.Random(7)  # noqa: S311  (not a secret: pauses)
    sequencer = Sequencer(pool, poll_s=60, look_every_s=0.001, sleepy_s=0.004)
    async with running(sequencer):
        await until(lambda: _leads(sequencer))
        for number in range(1, 201):
            async with transaction(pool) as connection:
                await publish(connection, GAUGE, PumpCounted(subject="urn:x:pump", number=number))
                await connection.execute("INSERT INTO public.slow VALUES ($1)", choice.uniform(0, 0.012))
            await until(
                lambda number=number: holds(  # type: ignore[misc]
                    pool, "SELECT position = $1 FROM infra.event_head", number
                ),
                within_s=5,
            )
            await asyncio.sleep(choice.uniform(0, 0.008))


async def test_publishers_notify_only_a_sleeping_sequencer(pool: Pool) -> None:
    rings: list[float] = []

    def ring(*_: object) -> None:
        rings.append(asyncio.get_running_loop().time())

    async with pool.acquire() as listening:
        await listening.add_listener(PUBLISHED, ring)
        async with running(Sequencer(pool, sleepy_s=0.5, poll_s=60)) as stop:
            await asyncio.sleep(1)
            for number in range(50):
                await tell(pool, PumpCounted(subject="urn:x:pump", number=number))
            await until(lambda: holds(pool, "SELECT position = 50 FROM infra.event_head"))
            assert 1 <= len(rings) <= 5
            stop.set()
        await tell(pool, PumpCounted(subject="urn:x:pump", number=51))
        await until(lambda: _more(rings, 1))
        await listening.remove_listener(PUBLISHED, ring)


async def _leads(sequencer: Sequencer) -> bool:
    return sequencer.leads


async def _more(rings: list[float], than: int) -> bool:
    return len(rings) > than
