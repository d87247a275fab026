"""The backend "sock": Unix socket pairs. An example of a backend that somebody else ships."""
