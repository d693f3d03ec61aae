"""The rules of procurement as pure functions: no Django, no clock, no I/O; whatever they need is an argument."""
