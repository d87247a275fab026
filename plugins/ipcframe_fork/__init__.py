"""The start method "fork": the child is a copy of its parent, and inherits everything."""
