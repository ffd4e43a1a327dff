from __future__ import annotations

import pytest

from napari_ctclip.core.anatomy import anatomy_in_text


@pytest.mark.parametrize(
    ("text", "anatomy"),
    [
        ("lung nodule", "lung"),
        ("A small ground-glass opacity", "lung"),
        ("pneumothorax", "lung"),
        ("left pleural effusion", "thoracic_cavity"),
        ("pericardial effusion", "heart"),
        ("coronary artery calcification", "heart"),
        ("aortic aneurysm", "aorta"),
        ("Arterial wall calcification", "aorta"),
        ("Mosaic attenuation pattern", "lung"),
        ("Interlobular septal thickening", "lung"),
        ("pulmonary artery", "lung"),
        ("hiatal hernia", "esophagus"),
        ("rib fracture", "bone"),
        ("renal cyst", "kidney"),
        ("something odd", ""),
        ("illustration of aplomb", ""),
    ],
)
def test_prompt_is_sent_to_the_anatomy_it_speaks_of(text: str, anatomy: str) -> None:
    assert anatomy_in_text(text) == anatomy
