"""Organ masks: from CT numbers, or from TotalSegmentator where it is installed."""
