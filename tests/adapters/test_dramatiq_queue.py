import pytest
import redis

from adapters.dramatiq_queue import Crashes, DramatiqQueue, QueueUnavailable
from application.jobs import Cause, PurgeObjects, SweepUploads

NONE = Crashes()
JOB = PurgeObjects(media_id="media_xK9mQ2pLw3RtYb8c")


def test_a_job_that_was_sent_is_not_sent_again(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="once")
    queue.send(JOB)
    assert not queue.send_again(JOB)
    assert queue.broker.do_qsize("media") == 1
    queue.close()


def test_a_job_that_redis_lost_is_sent_again(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="lost")
    queue.send(JOB, delay_seconds=60)
    redis.Redis.from_url(redis_url).flushdb()
    assert queue.send_again(JOB)
    assert queue.broker.do_qsize("media") == 1
    queue.close()


def test_what_a_consumer_held_when_its_connection_broke_comes_back(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="held", heartbeat_seconds=0.5)
    queue.send(JOB, delay_seconds=3600)

    def fetched() -> bool:
        """Whether a consumer that begins now is given the job."""
        consumer = queue.broker.consume("media.DQ", prefetch=5, timeout=20)
        found = any(next(consumer) is not None for _ in range(100))
        consumer.close()
        return found

    assert fetched()
    # Dramatiq's thread forgets what it held and begins anew; the worker itself is alive.
    assert fetched()
    queue.close()


def test_namespaces_do_not_see_each_other(redis_url: str) -> None:
    one, other = (DramatiqQueue(redis_url, namespace=name) for name in ("one", "other"))
    one.send(SweepUploads())
    assert other.broker.do_qsize("media") == 0
    one.close()
    other.close()


def test_beginnings_without_an_end_are_counted(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="crash")
    queue.begin(JOB, "one")
    for _ in range(2):
        queue.begin(JOB, "one", alone=True)
    assert queue.crashes(JOB, "one") == Crashes(every=3, alone=2)
    # A copy of the job, which the redrive sent, is as poisoned; the third run may still go on.
    assert queue.crashes(JOB, "copy") == Crashes(every=2, alone=1)
    queue.end(JOB, "one")
    assert queue.crashes(JOB, "three") == NONE
    queue.close()


def test_copies_of_a_job_beside_each_other_have_killed_nobody(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="beside")
    for number in range(9):
        queue.begin(JOB, f"copy {number}")
    assert queue.crashes(JOB, "another") == NONE
    queue.close()


def test_a_job_that_ran_beside_others_in_the_end_has_not_died_alone(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="joined")
    queue.begin(JOB, "one", alone=True)
    queue.accompanied(JOB, "one")
    assert queue.crashes(JOB, "one") == Crashes(every=1)
    queue.begin(JOB, "one", alone=True)
    queue.end(JOB, "one")
    queue.accompanied(JOB, "one")
    assert queue.crashes(JOB, "one") == NONE
    queue.close()


def test_what_was_given_up_is_tried_again_only_when_it_is_asked_for_anew(redis_url: str) -> None:
    def because(position: int) -> Cause:
        return Cause(owner="t:ls_a", position=position, correlation_id="r")

    queue = DramatiqQueue(redis_url, namespace="anew")
    for _ in range(4):
        queue.begin(JOB, "one", alone=True)
    queue.give_up(JOB, because(7))
    # A copy of before, the redrive's, and one that an operator asked for later.
    assert queue.crashes(JOB, "copy", because(7)) == Crashes(given_up=True)
    assert queue.crashes(JOB, "again") == Crashes(given_up=True)
    assert queue.crashes(JOB, "retried", because(8)) == NONE
    queue.close()


def test_without_redis_sending_says_so() -> None:
    queue = DramatiqQueue("redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        queue.send(JOB)
    with pytest.raises(QueueUnavailable):
        queue.send_again(JOB)
    queue.begin(JOB, "one")
    assert queue.crashes(JOB, "one") == NONE
    queue.end(JOB, "one")
    queue.close()
