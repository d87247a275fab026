"""The handshake of a listener and its client: both prove that they know the key before they say anything.

It is the standard library's, so that either side may be a program that uses `multiprocessing`. Each side
challenges the other, the listener first::

    the one who challenges                      the one who is challenged
    #CHALLENGE# and random bytes
                                                a digest of those bytes, keyed (RFC 2104)
    #WELCOME#, or #FAILURE# and the end

There are two dialects. Until Python 3.11 a challenge has 20 random bytes, and the answer is a bare digest by
MD5. From 3.12 on what follows the word is the name of a digest, as in ``{sha256}``, before the random bytes,
and before the answer's digest. Challenges of the second kind are understood by all: who does not know about
names answers by MD5.

What one side says and what follows from the answer is a `Step`, which is never changed once it is made: so
whoever drives it may be interrupted anywhere and do it again (rule I2 of `framing`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from ..deadline import NOW
from ..errors import BrokenConnection, EndOfStream, HandshakeFailed, HandshakeTimedOut, MessageTooLarge
from .stream import StreamConnection

__all__ = [
    "CHALLENGE",
    "Handshake",
    "Step",
    "answering",
    "calling",
    "challenging",
    "checked_key",
    "prepare",
    "serving",
    "talk",
]

CHALLENGE = b"#CHALLENGE#"
_WELCOME = b"#WELCOME#"
_FAILURE = b"#FAILURE#"
_LONGEST = 256
"""The longest message of a handshake, in bytes."""
_RANDOM = 40
_NAMELESS = 20
"""So many random bytes stand in a challenge that names no digest."""
_SIZES = {"md5": 16, "sha256": 32, "sha384": 48, "sha3_256": 32, "sha3_384": 48}
_OUR_CHOICE = "sha256"
_SAME_KEY = "both sides need the same authkey"


class Step:
    """What one side says next, and what follows from the answer.

    It is the last one if nothing can follow; `failure` says why it is the last before its time.
    """

    __slots__ = ("failure", "follow", "said", "says")

    def __init__(
        self, says: bytes = b"", follow: Callable[[bytes], Step] | None = None, failure: str = ""
    ) -> None:
        self.says = says
        self.follow = follow
        self.failure = failure
        self.said: list[int] = []
        """How many bytes of it were written, once they were (rule I1 of `framing`)."""


_hmac: Any = None


def prepare() -> None:
    """Import what costs more than the rest, and what most processes never need.

    Beforehand, because a signal handler that interrupts an import finds half a module.
    """
    global _hmac
    if _hmac is None:
        import hmac

        _hmac = hmac


def checked_key(authkey: bytes | None) -> bytes | None:
    """This key, or none; TypeError for what is no key."""
    if authkey is not None and not isinstance(authkey, bytes):
        raise TypeError(f"an authkey is bytes, not {type(authkey).__name__}")
    return authkey


def serving(authkey: bytes) -> Step:
    """The first step of a listener."""
    return challenging(authkey, partial(_answer, authkey, Step()))


def calling(authkey: bytes) -> Step:
    """The first step of a client."""
    return answering(authkey, challenging(authkey))


def challenging(authkey: bytes, follow: Callable[[bytes], Step] | None = None) -> Step:
    """Let the other side prove itself; `follow` is what follows from what it says after that."""
    prepare()
    challenge = b"{%s}" % _OUR_CHOICE.encode() + os.urandom(_RANDOM)

    def judge(answer: bytes) -> Step:
        if _proves(authkey, challenge, answer):
            return Step(_WELCOME, follow)
        return Step(_FAILURE, failure="gave a wrong answer to the challenge")

    return Step(CHALLENGE + challenge, judge)


def answering(authkey: bytes, then: Step | None = None) -> Step:
    """Prove ourselves to the other side, and do `then`."""
    prepare()
    return Step(follow=partial(_answer, authkey, then or Step()))


def _answer(authkey: bytes, then: Step, message: bytes) -> Step:
    challenge = message.removeprefix(CHALLENGE)
    if challenge == message or len(challenge) < _NAMELESS:
        return Step(failure=f"sent {message[:32]!r} where a challenge was expected")
    name = "" if len(challenge) == _NAMELESS else _digest_in(challenge)[0]
    if name is None:
        return Step(failure=f"wants an unknown digest: {challenge[:32]!r}")
    return Step(_proof(authkey, challenge, name), partial(_hear, then))


def _hear(then: Step, verdict: bytes) -> Step:
    return then if verdict == _WELCOME else Step(failure="refused our answer to its challenge")


def _digest_in(text: bytes) -> tuple[str | None, bytes]:
    """The digest that is named at the beginning, None when there is none, and what follows the name."""
    name, brace, rest = text[1:].partition(b"}")
    known = name.decode("ascii", "replace")
    if text[:1] == b"{" and brace and known in _SIZES:
        return known, rest
    return None, text


def _proof(authkey: bytes, challenge: bytes, name: str) -> bytes:
    if not name:
        try:
            return _digest(authkey, challenge, "md5")
        except ValueError:
            # This system forbids MD5. Who named no digest may be able to read another all the same.
            name = _OUR_CHOICE
    return b"{%s}" % name.encode() + _digest(authkey, challenge, name)


def _proves(authkey: bytes, challenge: bytes, answer: bytes) -> bool:
    if len(answer) == _SIZES["md5"]:
        name, proof = "md5", answer
    else:
        found, proof = _digest_in(answer)
        if found is None:
            return False
        name = found
    try:
        proven: bool = _hmac.compare_digest(_digest(authkey, challenge, name), proof)
    except ValueError:
        return False
    return proven


def _digest(authkey: bytes, challenge: bytes, name: str) -> bytes:
    digest: bytes = _hmac.digest(authkey, challenge, name)
    return digest


def talk(connection: Any, step: Step) -> None:
    """Go through a handshake on any connection, which waits as it does.

    Raises `HandshakeFailed`, and what the connection raises.
    """
    while True:
        if step.says:
            connection.send_bytes(step.says)
        if step.failure:
            raise HandshakeFailed(f"{connection!r}: the other side {step.failure}", _SAME_KEY)
        if step.follow is None:
            return
        step = step.follow(connection.recv_bytes(_LONGEST))


class Handshake:
    """A handshake on a connection that nobody else uses yet. It never waits.

    One thread at a time advances it; its signal handlers may do so too.
    """

    __slots__ = ("connection", "first", "peer", "step")

    def __init__(self, connection: StreamConnection, first: Step, peer: str) -> None:
        self.connection = connection
        self.peer = peer
        """How errors call the other side."""
        self.step = self.first = first

    def advance(self) -> bool:
        """Go on as far as can be without waiting; True at the end.

        Raises `HandshakeFailed`; EndOfStream, or OSError, when the other side is gone.
        """
        connection = self.connection
        while True:
            step = self.step
            if step.says and not step.said:
                self._say(step)
                if step.follow is not None:
                    return False  # the answer takes a while
            if step.failure:
                raise self._failed(step.failure)
            if step.follow is None:
                return True
            try:
                message = connection._peek(NOW, _LONGEST)
            except (BrokenConnection, MessageTooLarge):
                raise self._failed("sent what is no part of a handshake") from None
            except EndOfStream:
                raise EndOfStream(
                    f"{self.peer} closed the connection during the handshake",
                    "it may use no authkey, or have been ended",
                ) from None
            if message is None:
                return False
            following = step.follow(bytes(message))
            # Nobody comes between the taking and the store (rule I5 of `framing`).
            if self.step is step and connection._take(message):
                self.step = following

    def late(self, seconds: float, remedy: str) -> HandshakeTimedOut:
        """What to raise after so many seconds."""
        silent = self.step is self.first and not self.connection._intake.started
        what = (
            f"said nothing for {seconds:g} s" if silent else f"did not finish the handshake in {seconds:g} s"
        )
        return HandshakeTimedOut(f"{self.peer} {what}", remedy)

    def _say(self, step: Step) -> None:
        connection = self.connection
        # It fits: the connection is new.
        writes = connection._outlet.write(connection.framing.header(len(step.says)) + step.says)
        if self.step is step and not step.said:  # I3
            step.said.extend(writes)  # I1

    def _failed(self, problem: str) -> HandshakeFailed:
        return HandshakeFailed(f"{self.peer} {problem}", f"{_SAME_KEY}, or none")
