"""The border of the window shows errors as one line, and says where the window helps."""

from __future__ import annotations

import pytest

from napari_ctclip.core.errors import NotEncoded, NothingOpen
from napari_ctclip.plugin.window.messages import Message, Messages
from napari_ctclip.session.session import Session


def shown(raised: type[Exception]) -> str:
    """Return the text that the border shows of what a session without all of it raises."""
    told: list[Message] = []
    messages = Messages()
    messages.told.connect(told.append)
    with messages.border():
        if raised is NothingOpen:
            Session(device="cpu").ready()
        raise raised("the scan is not encoded yet")
    assert [message.severity for message in told] == ["error"]
    return told[0].text


@pytest.mark.parametrize(
    ("raised", "text"),
    [(NothingOpen, "folder first (in the Data tab)"), (NotEncoded, "(press Encode in the Explore")],
)
def test_the_window_adds_where_to_do_what_an_error_asks_for(raised, text):
    assert text in shown(raised)


def test_a_session_speaks_of_no_tab_and_no_button():
    with pytest.raises(NothingOpen) as error:
        Session(device="cpu").ready()
    assert not {"tab", "button", "press"} & set(str(error.value).lower().split())
