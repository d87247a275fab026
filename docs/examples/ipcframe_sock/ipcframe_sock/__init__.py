"""The backend "sock": Unix socket pairs, until another transport stands in `endpoints`."""
