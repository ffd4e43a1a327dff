"""Pictures of slices: what stands in exports, reports and documentation."""
