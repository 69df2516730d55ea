"""What is said instead of a page: log in first, not for you, not there, the inventory does not answer."""

from __future__ import annotations

from backstop.errors import BackstopError


class LoginRequired(Exception):
    """Nobody whom Airflow knows is asking."""


class PageError(BackstopError):
    """A page that cannot be shown, and why.

    :param status: of the HTTP answer.
    """

    status = 400


class Refused(PageError):
    """Not for whoever is asking."""

    status = 403


class UnknownPage(PageError):
    """No such thing, as far as whoever is asking may know."""

    status = 404
    next_step = "start from the overview"


class WrongInput(PageError):
    """What was asked for cannot be."""

    status = 422
    next_step = "go back, correct it, and send it again"
