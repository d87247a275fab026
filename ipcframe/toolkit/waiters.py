"""Who waits: the places in a segment's list of waiters.

A place is 8 words: the key (the slot waited for, plus one; 0 for a free place), the waiter's token, the
number of its doorbell, its state, its number in line, and two for whom else a place serves. It is made valid
by the store of its key, and freed by another; both under the segment's guard of waiters. A waiter that is
killed leaves its place behind: whoever rings it finds that out, and frees it. When all places are taken, a
waiter gets none, and looks again now and then.

A flag in the object's slot says whether anybody waits for it. It is set before a waiter looks for the
last time, and cleared by whoever finds, in a section, that nobody does.
"""

from __future__ import annotations

from collections.abc import Callable

from ..deadline import NEVER, NOW, Deadline
from . import identity
from .doorbell import ring
from .segment import FIRST_PLACE, PLACE_WORDS, PLACES, SLOTS, Segment

__all__ = ["EXTRA", "FLAG", "STATE", "TOKEN", "Place", "Waiters"]

FLAG = 1
"""The word of a slot that says whether somebody waits."""
_HIGH, _NEXT = 1, 2  # words of the segment's header
_KEY, TOKEN, _BELL, STATE, _NUMBER, EXTRA = range(6)


class Place:
    """A place taken in line, by this thread."""

    __slots__ = ("at", "index", "number", "token")

    def __init__(self) -> None:
        self.index = -1
        self.at = 0
        self.number = 0
        self.token = 0

    @property
    def taken(self) -> bool:
        """Whether there was a place left."""
        return self.index >= 0


class Waiters:
    """Those who wait for one slot of a segment; or, the second list of a slot, those who hold something."""

    def __init__(self, segment: Segment, slot: int, second: bool = False) -> None:
        self._words = segment.words
        self._guard = segment.waiters_guard
        self._key = slot + 1 + (SLOTS if second else 0)
        self._flag = segment.slot_words(slot) + (FLAG + 1 if second else FLAG)

    def enter(self, place: Place, bell: int, deadline: Deadline = NEVER, state: int = 0) -> None:
        """Take a place at the end of the line; `place` says what came of it, also after an exception.

        It stays untaken when there is none left, or the deadline passes first.
        """
        token, words = identity.my_token(), self._words

        def step(hold: object) -> bool | None:
            index = next((i for i in range(PLACES) if not words[FIRST_PLACE + PLACE_WORDS * i]), -1)
            if index < 0:
                return False
            at = FIRST_PLACE + PLACE_WORDS * index
            if self._guard.epoch is not hold:
                return None
            words[at + TOKEN] = token
            words[at + _BELL] = bell
            words[at + STATE] = state
            words[at + EXTRA] = words[at + EXTRA + 1] = 0
            place.number = words[at + _NUMBER] = words[_NEXT] = words[_NEXT] + 1
            place.at = at
            place.token = token
            place.index = index
            if words[_HIGH] <= index:
                words[_HIGH] = index + 1
            words[self._flag] = 1
            words[at + _KEY] = self._key
            return True

        self._guard.run(step, deadline)

    def leave(self, place: Place, deadline: Deadline = NEVER) -> bool:
        """Give the place up; its state may be changed by others until this is done.

        False when the deadline passed first: then the place is left behind, and is found by ringing it once
        its doorbell is gone.
        """
        if not place.taken or place.token != identity.my_token():
            return True

        def step(hold: object) -> bool | None:
            if self._guard.epoch is not hold:
                return None
            self.vacate(place)
            return True

        if not self._guard.run(step, deadline):
            return False
        if not self.places():
            self._tidy(deadline)
        return True

    def vacate(self, place: Place) -> None:
        """Give up a place whose state nobody changes: by one store, for nobody else writes to it meanwhile.

        The flag stays, and the next one to ring finds nobody.
        """
        if place.taken and place.token == identity.my_token():
            words, at = self._words, place.at
            if words[at + _KEY] == self._key and words[at + _NUMBER] == place.number:
                words[at + _KEY] = 0
            place.index = -1

    def ring_all(self) -> None:
        """Wake everybody; places of the dead are freed."""
        words = self._words
        numbers = [words[at + _BELL] for at in self.places()]
        if not numbers:
            self._tidy()
            return
        gone = ring(numbers)
        if gone:
            self._free(lambda at: words[at + _BELL] in gone)

    def _tidy(self, deadline: Deadline = NOW) -> None:
        """Clear the flag if nobody waits, and make scans as long as the line is."""
        words = self._words

        def step(hold: object) -> bool | None:
            alone = not self.places()
            before = high = words[_HIGH]
            while high and not words[FIRST_PLACE + PLACE_WORDS * (high - 1)]:
                high -= 1
            if self._guard.epoch is not hold:
                return None
            if words[_HIGH] == before:
                words[_HIGH] = high
            if alone:
                words[self._flag] = 0
            return True

        self._guard.run(step, deadline)

    def state(self, place: Place, deadline: Deadline = NEVER) -> int | None:
        """The state of a place that was taken, once nobody is about to change it; None after the deadline."""
        words = self._words
        return self._guard.run(
            lambda hold: words[place.at + STATE] if self._guard.epoch is hold else None, deadline
        )

    def call(self, most: int, state: int, deadline: Deadline = NEVER) -> int:
        """Put up to `most` places of the living into this state, the first in line first, and wake them.

        Those that are in it already do not count. Returns how many there were.
        """
        words = self._words
        called = 0

        def step(hold: object) -> bool | None:
            nonlocal called
            line = sorted((words[at + _NUMBER], at) for at in self.places() if words[at + STATE] != state)
            for _, at in line:
                if called >= most:
                    break
                # The ring comes before the new state, which the waiter looks at in a section of its own: so
                # whoever is killed here leaves nobody asleep that is called.
                gone = ring((words[at + _BELL],))
                dead = bool(gone) or (not words[at + _BELL] and not identity.is_alive(words[at + TOKEN]))
                if self._guard.epoch is not hold:
                    return None
                if dead:
                    words[at + _KEY] = 0
                else:
                    words[at + STATE] = state
                    called += 1
            return True

        self._guard.run(step, deadline)
        return called

    def ring_first(self, state: int) -> None:
        """Wake the first in line that is in this state."""
        words = self._words
        line = [(words[at + _NUMBER], at) for at in self.places() if words[at + STATE] == state]
        if line:
            ring((words[min(line)[1] + _BELL],))

    def tokens(self, before: int | None = None, state: int | None = None) -> set[int]:
        """The processes of those in line before a number, or in a state, or of all."""
        words = self._words
        return {
            words[at + TOKEN]
            for at in self.places()
            if (before is None or words[at + _NUMBER] < before)
            and (state is None or words[at + STATE] == state)
        }

    def count(self, state: int) -> int:
        """How many places are in this state."""
        if not self._words[self._flag]:
            return 0
        return sum(self._words[at + STATE] == state for at in self.places())

    def total(self) -> int:
        """The sum of all states."""
        return sum(self._words[at + STATE] for at in self.places())

    def own(self) -> int:
        """Where the words of a place of this process begin; -1 when it has none."""
        token, words = identity.my_token(), self._words
        return next((at for at in self.places() if words[at + TOKEN] == token), -1)

    def states_of_the_dead(self) -> list[int]:
        """Free the places of processes that have ended; returns the states that they were in."""
        words, found = self._words, []
        dead = {token for token in self.tokens() if not identity.is_alive(token)}
        if dead:
            found = self._free(lambda at: words[at + TOKEN] in dead)
        return found

    def _free(self, condemned: Callable[[int], bool]) -> list[int]:
        """Free the places for which this holds; their states."""
        words = self._words
        found: list[int] = []

        def step(hold: object) -> bool | None:
            for at in self.places():
                if condemned(at):
                    state = words[at + STATE]
                    if self._guard.epoch is not hold:
                        return None
                    words[at + _KEY] = 0
                    found.append(state)
            return True

        self._guard.run(step, NOW)  # if somebody is stopped there, they are freed another time
        self._tidy()
        return found

    def own_or_adopted(self, dead: set[int], reset: int, deadline: Deadline) -> int | None:
        """This process's own place; else one of the dead, with its word `reset` at 0; else a new one, or -1.

        None after the deadline.

        All in one section: threads and signal handlers of a process find one and the same.
        """
        token, words = identity.my_token(), self._words
        tokens = {at: words[at + TOKEN] for at in dead}

        def step(hold: object) -> int | None:
            own = self.own()
            left = [
                at for at, before in tokens.items() if words[at] == self._key and words[at + TOKEN] == before
            ]
            free = [i for i in range(PLACES) if not words[FIRST_PLACE + PLACE_WORDS * i]][:1]
            if self._guard.epoch is not hold:
                return None
            if own >= 0:
                return own
            if left:
                words[left[0] + reset] = 0
                words[left[0] + TOKEN] = token
                return left[0]
            if not free:
                return -1
            at = FIRST_PLACE + PLACE_WORDS * free[0]
            words[at + TOKEN] = token
            words[at + _BELL] = words[at + STATE] = words[at + EXTRA] = words[at + EXTRA + 1] = 0
            words[at + _NUMBER] = words[_NEXT] = words[_NEXT] + 1
            if words[_HIGH] <= free[0]:
                words[_HIGH] = free[0] + 1
            words[self._flag] = 1
            words[at] = self._key
            return at

        return self._guard.run(step, deadline)

    def places(self) -> list[int]:
        """Where the words of each place begin."""
        words, key = self._words, self._key
        end = FIRST_PLACE + PLACE_WORDS * words[_HIGH]
        return [at for at in range(FIRST_PLACE, end, PLACE_WORDS) if words[at] == key]
