"""Certainty means what it says, over all labelled samples."""

from tests.reliability import Answer, answers, bands

TOLERATED = 0.05  # how much bolder than right an answer may be
FEWEST = 20  # answers that a band must hold to tell anything


def test_no_band_is_bolder_than_it_is_right():
    for band in bands(answers()):
        if len(band.answers) >= FEWEST:
            wrong = [a.sample for a in band.answers if not a.right]
            assert band.share_right >= band.mean - TOLERATED, (band.low, wrong)


def test_a_bold_band_would_be_seen():
    bold = [Answer("x", 0.9, right=i % 2 == 0) for i in range(FEWEST)]
    (band,) = bands(bold)
    assert band.share_right < band.mean - TOLERATED
