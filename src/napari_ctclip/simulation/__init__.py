"""Simulated chest CT studies: torso, lesions, scanner and report, deterministic by seed."""

from napari_ctclip.simulation.lesion import FINDINGS, Lesion, SimulatedStudy
from napari_ctclip.simulation.study_simulation import simulate_study

__all__ = ["FINDINGS", "Lesion", "SimulatedStudy", "simulate_study"]
