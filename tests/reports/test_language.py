"""Reports that cannot be read say so; none becomes normal in silence."""

from __future__ import annotations

import pytest

from napari_ctclip.reports import Status, decompose


@pytest.mark.parametrize(
    "text",
    [
        "Kein Pneumothorax. Das Herz ist nicht vergrößert und die Lunge unauffällig.",
        "Pas de pneumothorax. Les poumons sont normaux avec une opacité dans le lobe droit.",
        "Plevral efüzyon izlenmedi. Kalp boyutları doğal olarak izlenmektedir.",
        "Sin derrame pleural. Los pulmones con enfisema en el lóbulo derecho.",
        "肺に結節を認めません。",
        "lorem ipsum dolor sit amet consectetur",
    ],
)
def test_another_language_gives_a_notice_and_no_finding(text):
    report = decompose(text)
    assert [notice.code for notice in report.notices] == ["not-english"]
    assert "no English sentences recognised" in report.notices[0].message
    assert not report.finding_certainties
    assert not report.normal_flags
    assert all(s.status is Status.UNSTATED for s in report.sentences)


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_an_empty_report_gives_a_notice(text):
    assert [notice.code for notice in decompose(text).notices] == ["empty-report"]


def test_one_foreign_sentence_is_left_out_and_told():
    report = decompose(
        "The heart is normal in size. Kein Pneumothorax und keine Ergüsse. "
        "There is a nodule in the right lung. The liver is normal."
    )
    assert [notice.code for notice in report.notices] == ["partly-english"]
    assert "pneumothorax" not in report.finding_certainties
    assert "lung nodule" in report.present_findings


@pytest.mark.parametrize("text", ["Cardiomegaly.", "Bilateral pleural effusion."])
def test_a_short_english_report_is_read(text):
    report = decompose(text)
    assert not report.notices
    assert report.present_findings
