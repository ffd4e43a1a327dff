"""How fast it is: run with ``make bench``. Numbers of one run on one machine; compare ratios."""
