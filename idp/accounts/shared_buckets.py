"""Buckets of attempts in Redis or Valkey: they spare the database a write and a commit for each attempt.

While that server does not answer, the table takes its place (see `throttle.spend`): nobody is refused because of it,
and nobody is let through unthrottled.
"""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from idp import clock, crypto, turns
from idp.errors import NotReadyError
from idp.settings import Settings

ANSWER_WITHIN = 0.5  # seconds; it takes less than a thousandth of that
LEFT_ALONE_FOR = 5.0  # seconds after it did not answer, so that not each request waits for it

# Both run as one step. The same rule as the table's: `throttle` says which.
_SPEND = """
local available_at = tonumber(redis.call('GET', KEYS[1]) or '0')
local now, burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if available_at > now + burst * interval + tonumber(ARGV[4]) then
  available_at = now
end
if available_at + interval - now > burst * interval then
  return {0, available_at}
end
available_at = math.max(available_at, now) + interval
redis.call('SET', KEYS[1], available_at, 'EX', available_at - now)
return {1, available_at}
"""
_REFUND = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DECRBY', KEYS[1], ARGV[1])
end
return 0
"""

log = logging.getLogger(__name__)


class SharedBuckets:
    """What one process knows of a server's buckets.

    Args:
        url: of the server.
        prefix: keeps providers that share a server apart.

    Raises:
        NotReadyError: the package `redis` is not installed, or does not understand the URL.
    """

    def __init__(self, url: str, prefix: str) -> None:
        try:
            import redis  # noqa: PLC0415 - only where it is used
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415
        except ImportError:
            raise NotReadyError(
                "throttle_url needs the package redis: run `pip install 'streamlit-idp[redis]'`."
            ) from None
        # Once more on a fresh connection: the one in the pool may have been closed meanwhile. Never after a timeout.
        again = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        try:
            self._server: Any = redis.Redis.from_url(
                url, socket_connect_timeout=ANSWER_WITHIN, socket_timeout=ANSWER_WITHIN, retry=again
            )
            pool = self._server.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # reads the options; connects to nothing
        except (TypeError, ValueError) as fault:
            raise NotReadyError(f"throttle_url has an option that is not understood: {fault}") from None
        self._faults: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._spend, self._refund = (self._server.register_script(text) for text in (_SPEND, _REFUND))
        self._prefix = prefix
        self._left_alone_until = 0.0

    def spend(self, bucket: str, burst: int, interval: int, clocks_apart: int = 0) -> tuple[bool, int] | None:
        """Charge one attempt to a bucket.

        Args:
            bucket: its name.
            burst: attempts that a full bucket admits.
            interval: seconds until it admits one more.
            clocks_apart: seconds that machines' clocks may differ by; what is charged further ahead than that counts
                for nothing, because whoever did it had a clock that was set back since.

        Returns:
            Whether it was charged, and when the bucket is full again; None when the server does not answer.
        """
        answer = self._ask(self._spend, bucket, [clock.now(), burst, interval, clocks_apart])
        return None if answer is None else (bool(answer[0]), int(answer[1]))

    def refund(self, bucket: str, interval: int) -> None:
        """Give an attempt back. Should the server be away, it comes back by itself, an interval later."""
        self._ask(self._refund, bucket, [interval])

    def check(self) -> str:
        """Return the server's version.

        Raises:
            NotReadyError: it does not answer, or refuses.
        """
        try:
            told = self._server.info("server")
            self._spend(keys=[self._key("check")], args=[clock.now(), 10, 1, 0])
        except self._faults as fault:
            raise NotReadyError(f"It does not do its work: {fault}") from None
        return str(told.get("valkey_version") or told.get("redis_version", "of some version"))

    def eviction(self) -> str | None:
        """Return the policy by which the server forgets attempts once its memory is full; None where it refuses then.

        Raises:
            NotReadyError: it does not answer, or refuses.
        """
        try:
            told = self._server.info("memory")
        except self._faults as fault:
            raise NotReadyError(f"It does not do its work: {fault}") from None
        policy = str(told.get("maxmemory_policy", "noeviction"))
        return policy if told.get("maxmemory") and policy != "noeviction" else None

    def _ask(self, script: Any, bucket: str, arguments: Sequence[int]) -> Any:
        now = clock.ticks()
        if now < self._left_alone_until:
            return None
        if self._left_alone_until:  # one finds out whether it is back, and the others do not wait for that
            self._left_alone_until = now + LEFT_ALONE_FOR
        try:
            with turns.aside():
                answer = script(keys=[self._key(bucket)], args=arguments)
        except self._faults as fault:
            self._left_alone_until = clock.ticks() + LEFT_ALONE_FOR
            log.warning("The throttles' server does not do its work (%s); the database takes its place.", fault)
            return None
        self._left_alone_until = 0.0
        return answer

    def _key(self, bucket: str) -> str:
        return f"{self._prefix}:{bucket}"


def of(settings: Settings) -> SharedBuckets | None:
    """Return the buckets that many machines share by a server of their own, or None where the table has them.

    Raises:
        NotReadyError: the package `redis` is not installed, or does not understand the URL.
    """
    if not settings.throttle_url:
        return None
    return _opened(settings.throttle_url, f"idp:{crypto.digest(settings.issuer)[:16]}")


@cache
def _opened(url: str, prefix: str) -> SharedBuckets:
    return SharedBuckets(url, prefix)
