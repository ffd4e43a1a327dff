"""The Explore tab: prompts, their table, heat and how they are asked."""
