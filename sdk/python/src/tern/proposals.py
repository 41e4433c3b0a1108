"""What rounds of retraining ask people, and what people say."""

from __future__ import annotations

from .api import types as t
from .api.calls import Calls
from .streams import Pages


class Proposals:
    """Questions of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def list(self, model: str | None = None, *, all: bool = False) -> Pages[t.ProposalView]:
        """What waits for an answer, the newest first; with `all` also what waits for nobody any more."""
        return self._api.list_proposals(model=model, all=all or None, limit=1_000)

    def get(self, id: int) -> t.ProposalView:
        """One question with its evidence (`sentences`, `facts`), and what people said."""
        return self._api.show_proposal(id)

    def agree(self, id: int, note: str = "") -> t.ProposalView:
        """The round goes on, once as many agree as its policy asks for."""
        return self._say(id, "agree", note)

    def decline(self, id: int, note: str = "") -> t.ProposalView:
        """It does not; the round is over."""
        return self._say(id, "decline", note)

    def again(self, id: int, note: str = "") -> t.ProposalView:
        """Compares again, with the labels that came since; of what is unclear alone."""
        return self._say(id, "again", note)

    def cancel(self, id: int, note: str = "") -> t.ProposalView:
        """The round is over, whatever it does."""
        return self._say(id, "cancel", note)

    def _say(self, id: int, word: t.ProposalWord, note: str) -> t.ProposalView:
        return self._api.answer_proposal(id, {"say": word, "note": note})
