"""How the bundled models are trained: simulated studies, their sentences and their losses."""
