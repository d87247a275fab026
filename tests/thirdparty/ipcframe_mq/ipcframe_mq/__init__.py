"""The backend "mq": channels are POSIX message queues, by posix_ipc; connections are socket pairs."""
