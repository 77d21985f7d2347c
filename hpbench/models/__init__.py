"""Models: the interface, how a name finds one, and the wrappers that come with hpbench."""
