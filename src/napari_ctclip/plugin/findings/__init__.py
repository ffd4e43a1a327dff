"""The Findings tab and exports."""
