"""The backend "unix": sockets of the Unix family, pure Python; the kernel keeps the borders of packets."""
