"""Archives of different layout to manifest entries; each file knows one layout."""
