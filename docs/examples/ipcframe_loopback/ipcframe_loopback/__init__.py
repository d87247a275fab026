"""The backend "loopback": every interface within one process. An example of a backend without descriptors."""
