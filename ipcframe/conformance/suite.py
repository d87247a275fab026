"""The suites: one class for each kind of plugin, so that new cases reach everyone."""

from __future__ import annotations

import pytest

from .barriers import Barriers
from .channel import Channels
from .channel_interrupts import ChannelInterrupts
from .condition_waits import ConditionWaits
from .configured import Configured
from .connection_api import ConnectionApi
from .connection_buffers import ConnectionBuffers
from .connection_descriptors import ConnectionDescriptors
from .connection_ends import ConnectionEnds
from .connection_handoff import ConnectionHandoff
from .connection_interrupts import ConnectionInterrupts
from .connection_large import ConnectionLarge
from .connection_objects import ConnectionObjects
from .connection_steps import ConnectionSteps
from .connection_threads import ConnectionThreads
from .connection_waits import ConnectionWaits
from .declared import Declared
from .elsewhere import Elsewhere
from .events import Events
from .facts import Facts
from .handles import Handles
from .leftovers import Leftovers
from .lock_api import LockApi
from .lock_deaths import LockDeaths
from .making import Making
from .queue_api import QueueApi
from .queue_deaths import QueueDeaths
from .queue_ends import QueueEnds
from .queue_interrupts import QueueInterrupts
from .queue_joinable import JoinableQueues
from .queue_order import QueueOrder
from .queue_stops import QueueStops
from .rendezvous import Rendezvous
from .semaphores import Semaphores
from .sizes import Sizes
from .start import Starts
from .start_exceptions import StartExceptions
from .steps import Steps
from .sync_handoff import SyncHandoff
from .sync_interrupts import SyncInterrupts
from .sync_kills import SyncKills
from .sync_signals import SyncSignals
from .sync_stops import SyncStops

__all__ = ["BackendSuite", "StartMethodSuite"]

# Python 3.12 warns of every fork in a process with threads; that such forks work is what is tested.
_forks_with_threads = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)


@_forks_with_threads
class BackendSuite(
    ConnectionApi,
    ConnectionBuffers,
    ConnectionObjects,
    ConnectionWaits,
    ConnectionEnds,
    ConnectionThreads,
    ConnectionHandoff,
    ConnectionInterrupts,
    ConnectionDescriptors,
    ConnectionLarge,
    ConnectionSteps,
    Channels,
    ChannelInterrupts,
    QueueApi,
    QueueOrder,
    QueueDeaths,
    QueueInterrupts,
    QueueStops,
    JoinableQueues,
    Sizes,
    QueueEnds,
    LockApi,
    LockDeaths,
    Semaphores,
    ConditionWaits,
    Events,
    Barriers,
    SyncKills,
    SyncStops,
    SyncInterrupts,
    SyncSignals,
    SyncHandoff,
    Handles,
    Rendezvous,
    Steps,
    Facts,
    Declared,
    Making,
    Configured,
    Leftovers,
    Elsewhere,
):
    """Everything that a backend promises: subclass it and set `backend`."""


@_forks_with_threads
class StartMethodSuite(Starts, StartExceptions):
    """Everything that a start method promises: subclass it and set `start_method`."""
