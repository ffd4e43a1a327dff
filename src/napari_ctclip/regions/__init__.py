"""Where to look: token grids and organ masks made from HU."""
