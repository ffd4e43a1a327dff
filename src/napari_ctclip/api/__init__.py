"""The functions behind the public names of the package: what a notebook or a script calls."""
