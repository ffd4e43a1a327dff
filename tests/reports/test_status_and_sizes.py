"""Normal or abnormal, comparison to a prior, and sizes."""

from __future__ import annotations

import pytest

from napari_ctclip.reports import Change, Status, decompose


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("The liver is normal.", Status.NORMAL),
        ("Calibre of the trachea is natural.", Status.NORMAL),
        ("The spleen is unremarkable.", Status.NORMAL),
        ("No stone in the gallbladder.", Status.NORMAL),
        ("The pancreas is not enlarged.", Status.NORMAL),
        ("The spleen looks larger than normal.", Status.ABNORMAL),
        ("The liver is not normal.", Status.ABNORMAL),
        ("The liver contour is irregular.", Status.ABNORMAL),
        ("Possible gallstone.", Status.ABNORMAL),
        ("There is an accessory spleen.", Status.UNSTATED),
        ("The liver was scanned.", Status.UNSTATED),
        ("A port catheter is in the superior vena cava.", Status.UNSTATED),
    ],
)
def test_status_follows_the_rule(text, status):
    assert decompose(text).sentences[0].status is status


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("A new nodule in the right lung.", Change.NEW),
        ("The nodule is unchanged.", Change.UNCHANGED),
        ("No significant change in the effusion.", Change.UNCHANGED),
        ("The mass has increased compared to the previous examination.", Change.LARGER),
        ("The effusion has regressed.", Change.SMALLER),
        ("The pneumothorax has resolved.", Change.RESOLVED),
        ("Compared to the prior examination the lungs are normal.", Change.COMPARED),
        ("The wall thickness has increased.", None),
        ("The heart is normal.", None),
    ],
)
def test_comparison_to_a_prior_is_read(text, change):
    assert decompose(text).sentences[0].change is change


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("A nodule of 4 mm.", [(4.0,)]),
        ("A mass of 1.2 x 0.8 cm.", [(12.0, 8.0)]),
        ("A mass of 12x9,5x7 mm.", [(12.0, 9.5, 7.0)]),
        ("A mass of 2 cm × 3 cm.", [(20.0, 30.0)]),
        ("From 12 mm to 1.5 cm.", [(12.0,), (15.0,)]),
        ("Series 3 image 129.", []),
        ("A 3-cm cyst.", [(30.0,)]),
    ],
)
def test_sizes_are_read_in_millimetres(text, sizes):
    sentence = decompose(text).sentences[0]
    assert [m.millimetres for m in sentence.measurements] == sizes
